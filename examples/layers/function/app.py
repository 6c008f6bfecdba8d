"""A function that uses what a layer brings."""

from greetings import greet


def handler(event, context):
    return greet(event["name"])
