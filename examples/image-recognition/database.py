"""The functions' way to their database, the RDS Data API: statements and transactions."""

import os
import random
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

CLUSTER = {
    "resourceArn": os.environ["CLUSTER_ARN"],
    "secretArn": os.environ["SECRET_ARN"],
}
DATABASE = os.environ["DATABASE"]

# Whole transactions are tried again below. The client by itself must not repeat a
# BeginTransaction whose answer was lost: the first one would stay open and hold the lock.
client = boto3.client(
    "rds-data",
    config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}),
)

ATTEMPTS = 6
PASSING = {
    "DatabaseUnavailableException",
    "InternalServerErrorException",
    "ServiceUnavailableError",
    "StatementTimeoutException",
    "ThrottlingException",
    "TransactionNotFoundException",
}


def execute(sql: str, transaction: str = None, **values) -> dict:
    """Run one statement with named parameters, within a transaction if one is given."""
    scope = {"transactionId": transaction} if transaction else {"database": DATABASE}
    parameters = [{"name": name, "value": _field(value)} for name, value in values.items()]
    return client.execute_statement(sql=sql, parameters=parameters, **scope, **CLUSTER)


def query(sql: str, columns: list, **values) -> list:
    """The rows of a select, as dictionaries."""
    answer = execute(sql, **values)
    return [
        {column: _value(field) for column, field in zip(columns, record)}
        for record in answer["records"]
    ]


def in_transaction(work):
    """Call work(transaction id) and commit; on a fault that may pass, roll back and try again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _once(work)
        except (ClientError, HTTPClientError, NoConnection) as error:
            if attempt == ATTEMPTS or not passing(error):
                raise
            # Those who were turned away together should not come back together.
            time.sleep(random.uniform(0.5, 1) * 0.05 * 2**attempt)


def _once(work):
    transaction = client.begin_transaction(database=DATABASE, **CLUSTER)["transactionId"]
    try:
        result = work(transaction)
        client.commit_transaction(transactionId=transaction, **CLUSTER)
        return result
    except BaseException:
        try:
            client.rollback_transaction(transactionId=transaction, **CLUSTER)
        except (ClientError, HTTPClientError, NoConnection):
            pass  # It ends by itself; the first fault is the one to tell.
        raise


def passing(error: Exception) -> bool:
    """Whether it makes sense to try again: the database was busy or could not be reached."""
    if not isinstance(error, ClientError):
        return True
    details = error.response.get("Error", {})
    message = details.get("Message", "").lower()
    return details.get("Code") in PASSING or "locked" in message or "busy" in message


def _field(value) -> dict:
    """A Python value as a Data API field."""
    if value is None:
        return {"isNull": True}
    if isinstance(value, int):
        return {"longValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": value}


def _value(field: dict):
    """A Data API field as a Python value."""
    return None if field.get("isNull") else next(iter(field.values()))
