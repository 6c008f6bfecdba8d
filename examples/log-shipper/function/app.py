"""A function that knows nothing of the extension that ships its log."""


def handler(event, context):
    print(f"an order of {event['pieces']} {event['item']}")
    return {"ordered": event["item"]}
