//! The operations of the IAM API that are served; any other one answers 501 with its name.

use super::{Iam, policies, policy_versions, role_policies, roles, settle, tags};
use wire::rpc::{Api, Operation};

/// An operation that is answered by `run(&Iam, Input, &Call)`.
macro_rules! run {
    ($name:literal, $run:path) => {
        Operation::new($name, |iam, call| {
            Box::pin(async move {
                let input = call.input()?;
                let output = settle(&call, $run(&iam, input, &call).await)?;
                call.output(&output)
            })
        })
    };
}

/// The API.
pub static API: Api<Iam> = Api {
    target: "",
    shapes: "com.amazonaws.iam",
    xmlns: "https://iam.amazonaws.com/doc/2010-05-08/",
    query_code: |code| code,
    body_limit: 1 << 20,
    operations: &[
        run!("AttachRolePolicy", role_policies::attach),
        run!("CreatePolicy", policies::create),
        run!("CreatePolicyVersion", policy_versions::create),
        run!("CreateRole", roles::create),
        run!("DeletePolicy", policies::delete),
        run!("DeletePolicyVersion", policy_versions::delete),
        run!("DeleteRole", roles::delete),
        run!("DeleteRolePolicy", role_policies::delete),
        run!("DetachRolePolicy", role_policies::detach),
        run!("GetPolicy", policies::get),
        run!("GetPolicyVersion", policy_versions::get),
        run!("GetRole", roles::get),
        run!("GetRolePolicy", role_policies::get),
        run!("ListAttachedRolePolicies", role_policies::list_attached),
        run!("ListEntitiesForPolicy", policies::entities),
        run!("ListInstanceProfilesForRole", roles::profiles),
        run!("ListPolicies", policies::list),
        run!("ListPolicyTags", tags::list_policy_tags),
        run!("ListPolicyVersions", policy_versions::list),
        run!("ListRolePolicies", role_policies::list),
        run!("ListRoles", roles::list),
        run!("ListRoleTags", tags::list_role_tags),
        run!("PutRolePolicy", role_policies::put),
        run!("SetDefaultPolicyVersion", policy_versions::set_default),
        run!("TagPolicy", tags::tag_policy),
        run!("TagRole", tags::tag_role),
        run!("UntagPolicy", tags::untag_policy),
        run!("UntagRole", tags::untag_role),
        run!("UpdateAssumeRolePolicy", roles::update_trust),
        run!("UpdateRole", roles::update),
    ],
};
