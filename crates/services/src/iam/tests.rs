//! The API over its protocol.

use super::Iam;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use model::{SystemClock, Timestamp};
use std::sync::Arc;
use store::Store;
use wire::credential::Credential;
use wire::{Body, Caller, Request, Service};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;

struct Bench {
    iam: Iam,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Bench { iam: Iam::new(Store::open(dir.path(), Arc::new(SystemClock)).unwrap()), _dir: dir }
    }

    async fn send(&self, action: &str, pairs: &[(&str, &str)]) -> (u16, String) {
        self.send_as("test", action, pairs).await
    }

    async fn send_as(&self, key: &str, action: &str, pairs: &[(&str, &str)]) -> (u16, String) {
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let mut form = format!("Action={action}&Version=2010-05-08");
        for (name, value) in pairs {
            form += &format!("&{name}={}", encode(value));
        }
        let head = http::Request::post("/").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = Request {
            head: head.body(()).unwrap().into_parts().0,
            body: Body::from(Bytes::from(form)),
            caller: Caller::Outside,
            credential: Some(Credential {
                access_key: key.into(),
                region: "us-east-1".into(),
                service: "iam".into(),
            }),
            id: model::RequestId::new(Timestamp(0)),
        };
        let response = self.iam.call(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().read(1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_role_lives_from_create_to_delete() {
    let bench = Bench::new();
    let role = [
        ("RoleName", "run"),
        ("AssumeRolePolicyDocument", TRUST),
        ("Tags.member.1.Key", "a"),
        ("Tags.member.1.Value", "b"),
    ];
    let (status, body) = bench.send("CreateRole", &role).await;
    assert!(status == 200 && body.contains("<Arn>arn:aws:iam::000000000000:role/run</Arn>"), "{body}");
    let (status, body) = bench.send("CreateRole", &role).await;
    assert!(status == 409 && body.contains("<Code>EntityAlreadyExists</Code>"), "{body}");
    let (status, body) = bench.send("CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", POLICY)]).await;
    let arn = "arn:aws:iam::000000000000:policy/p";
    assert!(status == 200 && body.contains(arn), "{body}");
    for policy in [arn, "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"] {
        let (status, body) =
            bench.send("AttachRolePolicy", &[("RoleName", "run"), ("PolicyArn", policy)]).await;
        assert_eq!(status, 200, "{body}");
    }
    let (_, body) = bench.send("ListAttachedRolePolicies", &[("RoleName", "run")]).await;
    assert!(
        body.contains("<PolicyName>p</PolicyName>") && body.contains("AWSLambdaBasicExecutionRole"),
        "{body}"
    );
    let inline = [("RoleName", "run"), ("PolicyName", "i"), ("PolicyDocument", POLICY)];
    assert_eq!(bench.send("PutRolePolicy", &inline).await.0, 200);
    let (_, body) = bench.send("GetRolePolicy", &inline[..2]).await;
    assert!(body.contains("%22s3%3A%2A%22"), "{body}");
    let (status, body) = bench.send("DeleteRole", &role[..1]).await;
    assert!(status == 409 && body.contains("must detach all policies first"), "{body}");
    let (status, body) = bench.send("DeletePolicy", &[("PolicyArn", arn)]).await;
    assert!(status == 409 && body.contains("DeleteConflict"), "{body}");
    for policy in [arn, "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"] {
        assert_eq!(
            bench.send("DetachRolePolicy", &[("RoleName", "run"), ("PolicyArn", policy)]).await.0,
            200
        );
    }
    assert_eq!(bench.send("DeleteRolePolicy", &inline[..2]).await.0, 200);
    assert_eq!(bench.send("DeletePolicy", &[("PolicyArn", arn)]).await.0, 200);
    assert_eq!(bench.send("DeleteRole", &role[..1]).await.0, 200);
    let (status, body) = bench.send("GetRole", &role[..1]).await;
    assert!(status == 404 && body.contains("The role with name run cannot be found."), "{body}");
}

#[tokio::test]
async fn policies_have_versions_and_accounts_their_own() {
    let bench = Bench::new();
    bench.send("CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", POLICY)]).await;
    let arn = ("PolicyArn", "arn:aws:iam::000000000000:policy/p");
    for _ in 0..4 {
        let input = [arn, ("PolicyDocument", POLICY), ("SetAsDefault", "true")];
        assert_eq!(bench.send("CreatePolicyVersion", &input).await.0, 200);
    }
    let (status, body) = bench.send("CreatePolicyVersion", &[arn, ("PolicyDocument", POLICY)]).await;
    assert!(status == 409 && body.contains("LimitExceeded"), "{body}");
    let (_, body) = bench.send("GetPolicy", &[arn]).await;
    assert!(body.contains("<DefaultVersionId>v5</DefaultVersionId>"), "{body}");
    assert_eq!(bench.send("SetDefaultPolicyVersion", &[arn, ("VersionId", "v2")]).await.0, 200);
    let (status, _) = bench.send("DeletePolicyVersion", &[arn, ("VersionId", "v2")]).await;
    assert_eq!(status, 409);
    assert_eq!(bench.send("DeletePolicyVersion", &[arn, ("VersionId", "v5")]).await.0, 200);
    let (_, body) = bench.send("ListPolicyVersions", &[arn]).await;
    assert_eq!(body.matches("<VersionId>").count(), 4);
    let (_, body) = bench.send_as("123456789012", "ListPolicies", &[("Scope", "Local")]).await;
    assert!(!body.contains("<member>"), "{body}");
    for (name, trust) in [("a", TRUST), ("b", TRUST), ("c", TRUST)] {
        bench.send("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", trust)]).await;
    }
    let (_, body) = bench.send("ListRoles", &[("MaxItems", "2")]).await;
    assert!(
        body.contains("<IsTruncated>true</IsTruncated>") && body.contains("<Marker>b</Marker>"),
        "{body}"
    );
    let (_, body) = bench.send("ListRoles", &[("MaxItems", "2"), ("Marker", "b")]).await;
    assert!(body.contains("<RoleName>c</RoleName>") && !body.contains("<RoleName>a</RoleName>"), "{body}");
}

#[tokio::test]
async fn what_is_no_role_or_policy_is_refused() {
    let bench = Bench::new();
    let role = |trust: &'static str| vec![("RoleName", "r"), ("AssumeRolePolicyDocument", trust)];
    for (action, pairs, status, code) in [
        ("CreateRole", vec![("RoleName", "r")], 400, "ValidationError"),
        (
            "CreateRole",
            vec![("RoleName", "a b"), ("AssumeRolePolicyDocument", TRUST)],
            400,
            "ValidationError",
        ),
        ("CreateRole", role("{"), 400, "MalformedPolicyDocument"),
        ("CreateRole", role(POLICY), 400, "MalformedPolicyDocument"),
        ("CreateRole", role(r#"{"Statement":[]}"#), 400, "MalformedPolicyDocument"),
        (
            "CreatePolicy",
            vec![("PolicyName", "p"), ("PolicyDocument", TRUST)],
            400,
            "MalformedPolicyDocument",
        ),
        ("GetPolicy", vec![("PolicyArn", "arn:aws:iam::000000000000:policy/none")], 404, "NoSuchEntity"),
        ("AttachRolePolicy", vec![("RoleName", "r"), ("PolicyArn", "p")], 400, "ValidationError"),
        ("CreateUser", vec![("UserName", "u")], 501, "NotImplemented"),
        ("CreateUsers", vec![("UserName", "u")], 400, "InvalidAction"),
    ] {
        let (got, body) = bench.send(action, &pairs).await;
        assert!(got == status && body.contains(&format!("<Code>{code}</Code>")), "{action} {got} {body}");
    }
}
