//! Credential plugins that are missing, fail, hang, and give what the server no longer takes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use watchcache::reflector::renewing_client;

use crate::fake::{Answer, Fake, json};
use crate::{PODS, command, event, failed, file, kubeconfig, pod, pods, quiet, verified};

fn plugin(command: &str) -> String {
    format!(
        "exec: {{ apiVersion: client.authentication.k8s.io/v1, command: \"{command}\", \
         interactiveMode: Never, installHint: \"Install it by brew install no-such-plugin\" }}"
    )
}

/// A user whose plugin does this, and then gives what the file holds for a token.
fn script(name: &str, does: &str, token: &Path) -> String {
    let script = format!(
        "#!/bin/sh\nheld=$(cat \"{}\")\n{does}\n\
         echo '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",'\n\
         echo '\"status\":{{\"token\":\"'$held'\"}}}}'\n",
        token.display()
    );
    let path = file(name, &script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    plugin(&path.display().to_string())
}

/// A file that is not there yet.
fn no_file(name: &str) -> PathBuf {
    let path = file(name, "");
    std::fs::remove_file(&path).expect("ours");
    path
}

fn unauthorized() -> Answer {
    let status = r#"{"kind":"Status","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
    Answer::Json(401, status.into())
}

#[test]
fn a_credential_plugin_that_is_missing_or_fails_is_named() {
    let server = quiet();
    let config = kubeconfig("plugin", &server.url(), "", &plugin("no-such-plugin"));
    let text = failed(&mut command(&["--kubeconfig", &config]));
    for words in ["\"no-such-plugin\"", "not installed", "try: Install it by brew install"] {
        assert!(text.contains(words), "{text}");
    }
    let config = kubeconfig("plugin-fails", &server.url(), "", &plugin("false"));
    let text = failed(&mut command(&["--kubeconfig", &config]));
    assert!(text.contains("\"false\" of the kubeconfig failed"), "{text}");
}

/// The server stops taking the first token; the plugin never said that it would expire.
#[test]
fn a_credential_plugin_is_run_again_once_its_token_is_refused() {
    let token = file("plugin-token", "t1");
    let (rotated, held) = (AtomicBool::new(false), token.clone());
    let server = Fake::start(move |request| {
        let wanted = if rotated.load(Ordering::Relaxed) { "bearer t2" } else { "bearer t1" };
        match () {
            () if request.path == PODS && request.authorization != wanted => unauthorized(),
            () if request.is_list(PODS) && wanted == "bearer t1" => json(pods(10, &[pod("a", 5)])),
            () if request.is_list(PODS) => json(pods(11, &[pod("a", 5), pod("b", 11)])),
            () if request.is_watch(PODS) && wanted == "bearer t1" => {
                rotated.store(true, Ordering::Relaxed);
                std::fs::write(&held, "t2").expect("the file is written");
                Answer::Ended(vec![event("MODIFIED", &pod("a", 5))])
            }
            () if request.is_watch(PODS) => Answer::Watch(vec![event("ADDED", &pod("b", 11))]),
            () => Answer::Default,
        }
    });
    let user = script("plugin.sh", "", &token);
    let config = kubeconfig("plugin-rotates", &server.url(), "", &user);
    let (summary, _) = verified(&mut command(&["--kubeconfig", &config, "--duration", "10s"]));
    assert_eq!(summary["objects"], 2, "{summary}");
}

/// A token that was cached for too long, and the first list learns of it.
#[test]
fn a_first_list_that_is_refused_is_made_again_with_the_new_token() {
    let server = Fake::start(|request| match () {
        () if request.path == PODS && request.authorization != "bearer t2" => unauthorized(),
        () if request.is_list(PODS) => json(pods(10, &[pod("a", 5)])),
        () if request.is_watch(PODS) => Answer::Watch(Vec::new()),
        () => Answer::Default,
    });
    let token = file("plugin-cached-token", "t1");
    let does = format!("echo t2 > \"{}\"", token.display());
    let user = script("plugin-cached.sh", &does, &token);
    let config = kubeconfig("plugin-cached", &server.url(), "", &user);
    let (summary, _) = verified(&mut command(&["--kubeconfig", &config, "--duration", "5s"]));
    assert_eq!((&summary["objects"], &summary["failures"]), (&1.into(), &0.into()), "{summary}");
}

#[test]
fn a_credential_plugin_that_hangs_is_told_and_does_not_outlast_the_duration() {
    let server = quiet();
    let token = file("plugin-hangs-token", "t1");
    let user = script("plugin-hangs.sh", "exec sleep 90", &token);
    let config = kubeconfig("plugin-hangs", &server.url(), "", &user);
    let start = Instant::now();
    let text = failed(&mut command(&["--kubeconfig", &config, "--duration", "4s"]));
    assert!(start.elapsed() < Duration::from_secs(80), "it waited for the plugin");
    assert!(text.contains("note: waiting for the credential plugin \""), "{text}");
    assert!(text.contains("no complete list came within 4s: the credential plugin \""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_plugin_runs_once_for_all_who_wait_and_give_up() {
    let token = file("plugin-once-token", "t1");
    let [runs, renews, go] =
        ["runs", "renews", "go"].map(|name| no_file(&format!("plugin-once-{name}")));
    // A client asks it more than once, one after the other.
    let does = format!(
        "if [ -e \"{renews}\" ]; then echo >> \"{runs}\"\n\
         for i in $(seq 600); do [ -e \"{go}\" ] && break; sleep 0.1; done\n\
         else held=t0; fi",
        renews = renews.display(),
        runs = runs.display(),
        go = go.display()
    );
    let user = script("plugin-once.sh", &does, &token);
    let server = Fake::start(|request| match request.authorization.as_str() {
        "bearer t1" => json("{}"),
        _ => unauthorized(),
    });
    let path = kubeconfig("plugin-once", &server.url(), "", &user);
    let kubeconfig = Kubeconfig::read_from(path).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("it");
    config.proxy_url = None;
    let client = renewing_client(config).expect("a client");
    std::fs::write(&renews, "").expect("the file is written");
    let request = || {
        let request = http::Request::get("/here").body(kube::client::Body::empty());
        client.send(request.expect("a request"))
    };
    let count = || std::fs::read_to_string(&runs).unwrap_or_default().lines().count();
    let limit = Instant::now() + Duration::from_secs(30);
    while count() < 1 {
        assert!(Instant::now() < limit, "the plugin is not run again");
        let gave_up = tokio::time::timeout(Duration::from_millis(300), request()).await;
        assert!(gave_up.is_err(), "the plugin has not ended");
    }
    let asked = server.asked("/here");
    while server.asked("/here") < asked + 3 {
        let gave_up = tokio::time::timeout(Duration::from_millis(300), request()).await;
        assert!(gave_up.is_err(), "the plugin has not ended");
    }
    assert_eq!(count(), 1, "another plugin runs beside the first");
    std::fs::write(&go, "").expect("the file is written");
    let answer = request().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

/// Nor does the end of the runtime wait for one that is run again.
#[test]
fn a_credential_plugin_that_hangs_when_it_is_run_again_holds_nobody_up() {
    let token = file("plugin-stuck-token", "t1");
    let [stuck, runs] = ["sticks", "runs"].map(|name| no_file(&format!("plugin-stuck-{name}")));
    let does = format!(
        "if [ -e \"{stuck}\" ]; then echo >> \"{runs}\"; exec sleep 200; fi",
        stuck = stuck.display(),
        runs = runs.display()
    );
    let user = script("plugin-stuck.sh", &does, &token);
    let server = Fake::start(|_| unauthorized());
    let path = kubeconfig("plugin-stuck", &server.url(), "", &user);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(path).expect("a kubeconfig");
            let options = KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
            let mut config = config.expect("it");
            config.proxy_url = None;
            let client = renewing_client(config).expect("a client");
            std::fs::write(&stuck, "").expect("the file is written");
            for _ in 0..2 {
                let request = http::Request::get("/here").body(kube::client::Body::empty());
                let answer = client.send(request.expect("a request")).await.expect("an answer");
                assert_eq!(answer.status(), 401, "as the server says");
            }
        });
        let ran = std::fs::read_to_string(&runs).unwrap_or_default().lines().count();
        assert_eq!(ran, 1, "another plugin runs beside the first");
        drop(runtime);
        let _ = tell.send(());
    });
    told.recv_timeout(Duration::from_secs(150)).expect("nobody waits for the plugin");
}
