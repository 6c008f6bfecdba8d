//! Both protocols, on a service of two operations.

use super::*;
use model::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Things {
    #[serde(default, deserialize_with = "integer")]
    count: Option<i64>,
    #[serde(default, deserialize_with = "boolean")]
    dry: Option<bool>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    entries: Vec<BTreeMap<String, Value>>,
    #[serde(default)]
    users: Vec<Value>,
}

async fn echo(_: &(), input: Things, call: &Call) -> Result<Things, Fault> {
    assert_eq!(call.operation, "Echo");
    Ok(input)
}

async fn fail(_: &(), (): (), _: &Call) -> Result<(), Fault> {
    Err(Fault::new("NoSuchThing", 400, "It is <gone>."))
}

async fn nothing(_: &(), _: Value, _: &Call) -> Result<(), Fault> {
    Ok(())
}

const API: Api<()> = Api {
    target: "Things",
    shapes: "com.things",
    xmlns: "http://things/",
    query_code: |code| if code == "NoSuchThing" { "Things.NonExistent" } else { code },
    body_limit: 1000,
    operations: &[
        Operation::new("Echo", rpc!(echo)).flat(&[
            Flat::list("Names", "Name"),
            Flat::map("Tags", "Tag", "Key", "Value"),
            Flat::list("Entries", "EchoEntry"),
        ]),
        Operation::new("Fail", |state, call| {
            Box::pin(async move { call.output(&fail(&state, (), &call).await?) })
        }),
        Operation::new("Nothing", rpc!(nothing)),
        Operation::missing("Later"),
    ],
};

async fn send(target: Option<&str>, body: &'static str) -> (u16, String, String) {
    static API_ROW: Api<()> = API;
    let mut request = http::Request::builder().method("POST").uri("/");
    if let Some(target) = target {
        request = request.header("x-amz-target", target);
    }
    let request = Request {
        head: request.body(()).unwrap().into_parts().0,
        body: Body::from(Bytes::from(body)),
        caller: Caller::Outside,
        credential: None,
        id: RequestId::new(Timestamp(0)),
    };
    let response = dispatch(&API_ROW, Arc::new(()), request).await;
    let code = response.headers().get("x-amzn-query-error").map_or("", |v| v.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    let body = response.into_body().read(10_000).await.unwrap();
    (status, code, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_form_becomes_the_same_input_as_json_and_comes_back_as_xml() {
    let json = r#"{"Count":7,"Dry":true,"Names":["a","b&"],"Tags":{"k":"v"},
        "Entries":[{"Id":"1","Tags":{"x":"y"}}],"Users":["u",{"Deep":"d"}]}"#;
    let (status, _, from_json) = send(Some("Things.Echo"), json).await;
    assert_eq!(status, 200);
    let from_json: Value = serde_json::from_str(&from_json).unwrap();
    assert_eq!(from_json["Count"], 7);

    let form = "Action=Echo&Version=1&Count=7&Dry=true&Name.2=b%26&Name.1=a&Tag.1.Key=k&Tag.1.Value=v\
        &EchoEntry.1.Id=1&EchoEntry.1.Tag.1.Key=x&EchoEntry.1.Tag.1.Value=y&Users.member.1=u&Users.member.2.Deep=d";
    let (status, _, xml) = send(None, form).await;
    assert_eq!(status, 200);
    for part in [
        "<EchoResponse xmlns=\"http://things/\"><EchoResult><Count>7</Count><Dry>true</Dry><EchoEntry><Id>1</Id>",
        "<Tag><Key>x</Key><Value>y</Value></Tag></EchoEntry><Name>a</Name><Name>b&amp;</Name>",
        "<Users><member>u</member><member><Deep>d</Deep></member></Users></EchoResult><ResponseMetadata>",
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
    let (_, _, empty) = send(None, "Action=Nothing").await;
    assert!(empty.contains("<NothingResponse xmlns=\"http://things/\"><ResponseMetadata>"), "{empty}");
    assert_eq!(send(Some("Things.Nothing"), "").await.2, "{}");
}

#[tokio::test]
async fn errors_have_the_name_that_each_protocol_knows() {
    let (status, code, body) = send(Some("Things.Fail"), "{}").await;
    assert_eq!((status, code.as_str()), (400, "Things.NonExistent;Sender"));
    assert_eq!(body, r#"{"__type":"com.things#NoSuchThing","message":"It is <gone>."}"#);
    let (status, _, body) = send(None, "Action=Fail").await;
    assert_eq!(status, 400);
    let expected =
        "<Error><Type>Sender</Type><Code>Things.NonExistent</Code><Message>It is &lt;gone&gt;.</Message>";
    assert!(body.contains(expected), "{body}");
    for (target, body, status, part) in [
        (Some("Things.Later"), "{}", 501, "Later"),
        (None, "Action=Later", 501, "Later"),
        (Some("Things.None"), "{}", 400, "UnknownOperationException"),
        (Some("Other.Echo"), "{}", 400, "UnknownOperationException"),
        (None, "Action=None", 400, "InvalidAction"),
        (None, "", 400, "MissingAction"),
        (Some("Things.Echo"), "{", 400, "SerializationException"),
        (Some("Things.Echo"), r#"{"Count":"x"}"#, 400, "SerializationException"),
        (None, "Action=Echo&Count=x", 400, "SerializationException"),
        (None, "Action=Echo&a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1", 400, "MalformedInput"),
    ] {
        let (got, _, answer) = send(target, body).await;
        assert_eq!(got, status, "{body} {answer}");
        assert!(answer.contains(part), "{part}: {answer}");
    }
}
