"""Prices with a discount for many."""


def handler(event, context):
    return {"price": 90 if event.get("count", 1) >= 10 else 100, "version": context.function_version}
