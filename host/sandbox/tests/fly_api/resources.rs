//! F14–F17: secrets, addresses, certificates, volumes.

use serde_json::{Value, json};

use crate::support::{World, plain};

#[tokio::test]
async fn f14_versions_grow_digests_compare_and_values_stay_inside() {
    let world = World::new().await;
    world.app("a").await;
    let set = async |values: Value| {
        world.post("/apps/a/secrets", json!({ "values": values })).await.is(200)
    };
    let first = set(json!({ "A": "same-value", "B": "same-value", "C": "other" })).await;
    assert_eq!((&first.body["version"], &first.body["Version"]), (&json!(1), &json!(1)));
    let digest =
        |reply: &Value, at: usize| reply["secrets"][at]["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest(&first.body, 0), digest(&first.body, 1));
    assert_ne!(digest(&first.body, 0), digest(&first.body, 2));
    let second = set(json!({ "B": null, "C": "same-value" })).await;
    assert_eq!(second.body["version"], 2);
    assert_eq!(digest(&second.body, 1), digest(&first.body, 0));
    let one = world.post("/apps/a/secrets/D", json!({ "value": "same-value" })).await.is(201);
    assert_eq!(one.body["version"], 3);
    for path in ["/apps/a/secrets", "/apps/a/secrets?show_secrets=true", "/apps/a/secrets/D"] {
        let text = world.get(path).await.is(200).text;
        assert!(text.contains("digest") && !text.contains("same-value"), "{text}");
    }
    assert!(!one.text.contains("same-value") && !second.text.contains("same-value"));
    assert_eq!(world.delete("/apps/a/secrets/D").await.is(200).body["version"], 4);
    world.delete("/apps/a/secrets/D").await.is(404);
    world.post("/apps/a/secrets/1BAD", json!({ "value": "x" })).await.is(400);
    world.close().await;
}

#[tokio::test]
async fn f15_each_kind_of_address_is_assigned_and_released() {
    let world = World::new().await;
    world.post("/apps", json!({ "name": "a", "org_slug": "personal" })).await.is(201);
    let ips = "/apps/a/ip_assignments";
    let assign = async |kind: &str| world.post(ips, json!({ "type": kind })).await;
    for kind in ["v4", "v6", "shared_v4", "private_v6", "egress_v4", "egress_v6"] {
        let reply = assign(kind).await.is(200);
        assert_eq!(reply.body["shared"], kind == "shared_v4");
        assert_eq!(reply.body["egress"], kind.starts_with("egress"));
        assert_eq!(reply.str("ip").contains(':'), kind.contains("v6"));
    }
    let pair = assign("egress_pair").await.is(200);
    assert!(pair.body["ip_pair"]["v4"].is_string() && pair.body["ip_pair"]["v6"].is_string());
    assign("v5").await.is(400);
    let list = async || world.get(ips).await.is(200).body["ips"].as_array().unwrap().len();
    assert_eq!(list().await, 8);
    assign("v4").await.is(200);
    assert_eq!(list().await, 9, "a dedicated address is given again");
    let shared = assign("shared_v4").await.is(200).str("ip");
    assert_eq!(list().await, 9);
    world.delete(&format!("{ips}/{shared}")).await.is(204);
    world.delete(&format!("{ips}/{shared}")).await.is(404);
    world.close().await;
}

#[tokio::test]
async fn f16_certificates_are_asked_for_issued_by_the_clock_checked_and_deleted() {
    let world = World::standing().await;
    world.app("a").await;
    let all = "/apps/a/certificates";
    let acme = format!("{all}/acme");
    let made = world.post(&acme, json!({ "hostname": "www.example.com" })).await.is(201);
    assert_eq!(
        (&made.body["configured"], &made.body["acme_requested"]),
        (&json!(false), &json!(true))
    );
    assert!(made.body["dns_requirements"]["a"][0].is_string());
    world.post(&acme, json!({ "hostname": "nodots" })).await.is(422);
    let bare = world.post(all, json!({ "hostname": "x.example.com" })).await.is(404);
    assert_eq!(bare.text, "404 page not found\n");
    world.set(json!({ "certificate_issue_ms": 30_000 }));
    let one = format!("{all}/www.example.com");
    assert_eq!(world.get(&one).await.body["configured"], false);
    world.clock.advance(30_000);
    assert_eq!(world.get(&one).await.is(200).body["configured"], true);
    let checked = world.post(&format!("{one}/check"), Value::Null).await.is(200);
    assert_eq!(checked.body["certificates"][0]["status"], "active");
    let custom = format!("{all}/custom");
    let pem = "-----BEGIN X-----";
    let body = json!({ "hostname": "b.example.com", "fullchain": pem, "private_key": pem });
    world.post(&custom, body).await.is(201);
    world.post(&custom, json!({ "hostname": "c.example.com" })).await.is(422);
    let first = world.get(&format!("{all}?limit=1")).await.is(200);
    assert_eq!(first.body["total_count"], 2);
    let cursor = first.str("next_cursor");
    let second = world.get(&format!("{all}?limit=1&cursor={cursor}")).await.is(200);
    assert_eq!(second.body["certificates"][0]["hostname"], "www.example.com");
    world.delete(&one).await.is(204);
    world.get(&one).await.is(404);
    world.close().await;
}

#[tokio::test]
async fn f17_a_volume_has_one_machine_and_stays_while_attached() {
    let world = World::new().await;
    world.app("a").await;
    let volume = json!({ "name": "data", "region": "iad", "size_gb": 1 });
    let id = world.post("/apps/a/volumes", volume).await.is(200).str("id");
    let path = format!("/apps/a/volumes/{id}");
    let mounted = |region: &str| {
        let mounts = json!([{ "volume": id, "path": "/data" }]);
        json!({ "region": region, "config": { "image": "api:v1", "mounts": mounts } })
    };
    world.post("/apps/a/machines", mounted("ord")).await.is(400);
    let machine = world.started("a", mounted("iad")).await;
    let attached = world.get(&path).await.is(200).str("attached_machine_id");
    assert!(machine.ends_with(&attached));
    world.post("/apps/a/machines", mounted("iad")).await.is(412);
    world.delete(&path).await.is(412);
    let put = async |below: &str, body: Value| {
        world.send("PUT", &format!("/fly/v1{path}{below}"), &body, &[]).await
    };
    assert_eq!(put("/extend", json!({ "size_gb": 2 })).await.is(200).body["volume"]["size_gb"], 2);
    put("/extend", json!({ "size_gb": 1 })).await.is(400);
    assert_eq!(
        put("", json!({ "snapshot_retention": 9 })).await.is(200).body["snapshot_retention"],
        9
    );
    world.post(&format!("{path}/snapshots"), Value::Null).await.is(200);
    let snapshots = world.get(&format!("{path}/snapshots")).await.is(200);
    assert_eq!(snapshots.body.as_array().unwrap().len(), 1);
    world.delete(&format!("{machine}?force=true")).await.is(200);
    world.reach(&machine, "destroyed").await;
    assert!(world.get(&path).await.body["attached_machine_id"].is_null());
    world.delete(&path).await.is(200);
    world.get(&path).await.is(404);
    assert_eq!(world.get("/orgs/personal/volumes").await.is(200).body["volumes"], json!([]));
    world.close().await;
}

#[tokio::test]
async fn f17_a_machine_with_a_volume_cannot_leave_a_full_host() {
    let world = World::new().await;
    world.app("a").await;
    let volume = world.post("/apps/a/volumes", json!({ "name": "data" })).await.is(200).str("id");
    let mounts = json!([{ "volume": volume, "path": "/data" }]);
    let body = json!({ "config": { "image": "api:v1", "mounts": mounts } });
    world.set(json!({ "capacity": [{ "on": "create", "kind": "volume_host_full", "times": 1 }] }));
    world.post("/apps/a/machines", plain("api:v1")).await.is(200);
    let text =
        format!("insufficient resources to create new machine with existing volume id '{volume}'");
    let reply = world.post("/apps/a/machines", body.clone()).await.says(412, &text);
    assert_eq!(reply.body["status"], "volume_placement_capacity");
    let path = world.started("a", body.clone()).await;
    world.set(json!({ "capacity": [{ "on": "update", "kind": "host_full" }] }));
    let before = world.get(&path).await.str("version");
    world.post(&path, body).await.is(409);
    assert_eq!(world.get(&path).await.str("version"), before);
    world.close().await;
}
