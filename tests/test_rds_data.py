"""The RDS Data API with boto3 and the aws CLI."""

import base64
import json
import threading
import uuid

import pytest
from botocore.exceptions import ClientError

SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:test"
PNG = base64.b64decode("iVBORw0KGgo=")


class Database:
    """A database of a test's own, and a client for it."""

    def __init__(self, server):
        self.data = server.client("rds-data", read_timeout=60)
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.cluster = {
            "resourceArn": f"arn:aws:rds:us-east-1:000000000000:cluster:{name}",
            "secretArn": SECRET,
        }

    def execute(self, sql, parameters=(), **more):
        """Execute a statement; its parameters come as name, field and perhaps hint."""
        given = [
            {"name": name, "value": field, **({"typeHint": hint[0]} if hint else {})}
            for name, field, *hint in parameters
        ]
        return self.data.execute_statement(sql=sql, parameters=given, **self.cluster, **more)

    def value(self, sql, **more):
        """The only value of the only row."""
        [[field]] = self.execute(sql, **more)["records"]
        [value] = field.values()
        return value

    def begin(self):
        return self.data.begin_transaction(**self.cluster)["transactionId"]

    def commit(self, transaction):
        return self.data.commit_transaction(transactionId=transaction, **self.cluster)

    def roll_back(self, transaction):
        return self.data.rollback_transaction(transactionId=transaction, **self.cluster)


@pytest.fixture
def database(server):
    """A database that nobody else uses; it need not be created."""
    return Database(server)


def fails(code, work, *arguments, **more):
    """Call work, which must fail with this code; the message and the HTTP status."""
    with pytest.raises(ClientError) as caught:
        work(*arguments, **more)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code, answer
    return answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_values_of_each_type_come_back(database):
    database.execute(
        "create table picture (id integer primary key, name text not null, seen boolean,"
        " price decimal(9, 2), weight double precision, made timestamp, bytes blob)"
    )
    inserted = database.execute(
        "insert into picture (name, seen, price, weight, made, bytes)"
        " values (:name, :seen, :price, :weight, :made, :bytes)",
        [
            ("name", {"stringValue": "Straße"}), ("seen", {"booleanValue": True}),
            ("price", {"stringValue": "12.50"}, "DECIMAL"), ("weight", {"doubleValue": 0.25}),
            ("made", {"stringValue": "2026-02-28 12:00:00.5"}, "TIMESTAMP"),
            ("bytes", {"blobValue": PNG}),
        ],
    )
    assert inserted["numberOfRecordsUpdated"] == 1
    assert inserted["generatedFields"] == [{"longValue": 1}]
    found = database.execute("select * from picture", includeResultMetadata=True)
    assert found["records"] == [[
        {"longValue": 1}, {"stringValue": "Straße"}, {"booleanValue": True},
        {"stringValue": "12.5"}, {"doubleValue": 0.25},
        {"stringValue": "2026-02-28 12:00:00.5"}, {"blobValue": PNG},
    ]]
    columns = {column["name"]: column for column in found["columnMetadata"]}
    assert columns["name"]["nullable"] == 0 and columns["seen"]["nullable"] == 1
    assert columns["price"]["typeName"] == "decimal" and columns["price"]["scale"] == 2
    assert {column["tableName"] for column in columns.values()} == {"picture"}
    database.execute("update picture set name = :name", [("name", {"stringValue": "x"})])
    null = [("seen", {"isNull": True})]
    assert database.execute("update picture set seen = :seen", null)["numberOfRecordsUpdated"] == 1
    assert database.execute("select seen from picture")["records"] == [[{"isNull": True}]]
    lossy = {"decimalReturnType": "DOUBLE_OR_LONG", "longReturnType": "STRING"}
    found = database.execute("select id, price from picture", resultSetOptions=lossy)
    assert found["records"] == [[{"stringValue": "1"}, {"doubleValue": 12.5}]]


def test_records_can_come_as_json(database):
    found = database.execute("select 'a' as name, 1 as n, null as x", formatRecordsAs="JSON")
    assert json.loads(found["formattedRecords"]) == [{"name": "a", "n": 1, "x": None}]
    assert "records" not in found


def test_a_batch_runs_once_for_each_set(database):
    database.execute("create table t (id integer primary key, n integer unique)")

    def batch(*numbers, **more):
        sets = [[{"name": "n", "value": {"longValue": number}}] for number in numbers]
        return database.data.batch_execute_statement(
            sql="insert into t (n) values (:n)", parameterSets=sets, **database.cluster, **more
        )

    results = batch(*range(100))["updateResults"]
    assert [result["generatedFields"] for result in results[:2]] == [[{"longValue": 1}], [{"longValue": 2}]]
    message, _ = fails("DatabaseErrorException", batch, 100, 5)
    assert "UNIQUE" in message
    assert database.value("select count(*) from t") == 100
    transaction = database.begin()
    batch(100, 101, transactionId=transaction)
    database.roll_back(transaction)
    assert database.value("select count(*) from t") == 100


def test_a_transaction_is_seen_when_it_commits(database):
    database.execute("create table t (n integer)")
    transaction = database.begin()
    database.execute("insert into t values (1)", transactionId=transaction)
    assert database.value("select count(*) from t", transactionId=transaction) == 1
    assert database.value("select count(*) from t") == 0
    assert database.commit(transaction)["transactionStatus"] == "Transaction Committed"
    assert database.value("select count(*) from t") == 1
    message, status = fails("TransactionNotFoundException", database.commit, transaction)
    assert transaction in message and status == 404
    transaction = database.begin()
    database.execute("delete from t", transactionId=transaction)
    assert database.roll_back(transaction)["transactionStatus"] == "Rollback Complete"
    assert database.value("select count(*) from t") == 1


def test_many_transactions_at_once_lose_nothing(server, database):
    database.execute("create table counter (n integer)")
    database.execute("insert into counter values (0)")
    database.execute("create table item (worker integer)")
    problems = []

    def work(worker):
        try:
            for _ in range(5):
                transaction = database.begin()
                database.execute(
                    "insert into item values (:worker)", [("worker", {"longValue": worker})],
                    transactionId=transaction,
                )
                database.execute("update counter set n = n + 1", transactionId=transaction)
                database.commit(transaction)
        except Exception as problem:  # It is told by the test, not by the thread.
            problems.append(problem)

    workers = [threading.Thread(target=work, args=[worker]) for worker in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not problems
    assert database.value("select n from counter") == 80
    assert database.value("select count(*) from item") == 80


@pytest.mark.parametrize("sql, code, message", [
    ("selec 1", "DatabaseErrorException", "syntax error"),
    ("select * from missing", "DatabaseErrorException", "no such table"),
    ("select 1; select 2", "ValidationException", "Multistatements aren't supported"),
    ("select :n", "BadRequestException", "Cannot find parameter: n"),
    ("begin", "DatabaseErrorException", "BeginTransaction"),
    ("attach '/tmp/x' as x", "DatabaseErrorException", "not allowed"),
    ("vacuum into '/tmp/x'", "DatabaseErrorException", "VACUUM"),
    ("pragma writable_schema = on", "DatabaseErrorException", "PRAGMA"),
    ("select load_extension('x')", "DatabaseErrorException", "not allowed"),
    ("select hex(zeroblob(900000))", "DatabaseErrorException", "response size limit"),
])
def test_what_a_statement_must_not_do_is_said(database, sql, code, message):
    said, status = fails(code, database.execute, sql)
    assert message in said and status == 400


def test_requests_that_cannot_be_served_are_refused(database):
    fails("ValidationException", database.execute, "select 1", schema="s")
    fails("BadRequestException", database.execute, "select 1", database="../x")
    fails("BadRequestException", database.execute, "select 1", [("n", {"longValue": 1})])
    array = [("n", {"arrayValue": {"longValues": [1]}})]
    assert "arrayValue" in fails("BadRequestException", database.execute, "select :n", array)[0]
    wrong = [("n", {"stringValue": "x"}, "UUID")]
    assert "UUID" in fails("BadRequestException", database.execute, "select :n", wrong)[0]
    database.cluster["resourceArn"] = "arn:aws:rds:us-east-1:000000000000:db:instance"
    fails("BadRequestException", database.execute, "select 1")


def test_what_was_answered_survives_a_kill(fresh_server):
    server = fresh_server()
    database = Database(server)
    database.execute("create table t (n integer)")
    for number in range(20):
        database.execute("insert into t values (:n)", [("n", {"longValue": number})])
    database.execute("insert into t values (99)", transactionId=database.begin())
    server.kill()
    server.start()
    assert database.value("select count(*) from t") == 20


def test_the_aws_cli_works(server, database):
    options = [
        "--resource-arn", database.cluster["resourceArn"], "--secret-arn", SECRET, "--database", "shop",
    ]
    server.aws("rds-data", "execute-statement", *options, "--sql", "create table t (n integer)")
    begun = server.aws("rds-data", "begin-transaction", *options)
    server.aws(
        "rds-data", "execute-statement", *options, "--transaction-id", begun["transactionId"],
        "--sql", "insert into t values (:n)",
        "--parameters", json.dumps([{"name": "n", "value": {"longValue": 7}}]),
    )
    ended = server.aws(
        "rds-data", "commit-transaction", *options[:4], "--transaction-id", begun["transactionId"]
    )
    assert ended["transactionStatus"] == "Transaction Committed"
    found = server.aws("rds-data", "execute-statement", *options, "--sql", "select n from t")
    assert found["records"] == [[{"longValue": 7}]]
