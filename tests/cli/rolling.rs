//! A new image while somebody keeps asking: no request fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::project::walkthrough;
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, http};

#[test]
fn a_new_image_is_rolled_out_without_a_failed_request() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    place.edit("starsystem.sandbox.yaml", "port: 3000", "port: 3000\n      count: 2");
    let sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", "--env=sandbox"]).exits(0).says("2 machines launched in iad");
    assert_eq!(sandbox.holds().2, 2);
    assert!(sandbox.get("/app/my-app-api/").body.contains(r#""version":"v1""#));

    place.edit("starsystem.sandbox.yaml", "my-app-api:latest", "my-app-api:v2");
    let plan = place.ss(["plan", "--env=sandbox"]).exits(0);
    plan.says("~ api").says("image: ghcr.io/me/my-app-api:latest → ghcr.io/me/my-app-api:v2");

    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failures = std::thread::scope(|scope| {
        let hammer = scope.spawn(|| {
            let mut failures = Vec::new();
            while !done.load(Ordering::Relaxed) {
                match http::request(port, "GET", "/app/my-app-api/health", None) {
                    Ok(answer) if answer.status == 200 => {}
                    other => failures.push(format!("{other:?}")),
                }
                asked.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
            failures
        });
        let ran = place.ss(["deploy", "--env=sandbox"]);
        done.store(true, Ordering::Relaxed);
        ran.exits(0);
        hammer.join().expect("the hammer ends")
    });
    assert_eq!(failures, Vec::<String>::new());
    assert!(asked.load(Ordering::Relaxed) > 100, "the hammer hardly asked");
    assert!(sandbox.get("/app/my-app-api/").body.contains(r#""version":"v2""#));
    place.ss(["deploy", "--env=sandbox"]).exits(0).says("Nothing to change: 2 unchanged");
}
