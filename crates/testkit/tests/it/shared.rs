//! Each test gets a database and a vhost of its own, and they go away with it.

use signpost_testkit::{database, rabbit_control, vhost, wait_until};

use crate::PATIENCE;

#[tokio::test]
async fn two_databases_do_not_see_one_another_and_are_dropped() {
    let (one, two) = tokio::try_join!(database(), database()).unwrap();
    one.psql("create table t ()").await.unwrap();
    assert!(two.psql("select from t").await.is_err());

    let count = format!(
        "select count(*) from pg_database where datname = '{}'",
        one.name()
    );
    assert_eq!(two.psql(&count).await.unwrap(), "1");
    drop(one);
    wait_until("the database is dropped", PATIENCE, async || {
        match two.psql(&count).await.unwrap().as_str() {
            "0" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
}

#[tokio::test]
async fn two_vhosts_differ_and_are_deleted() {
    let (one, two) = tokio::try_join!(vhost(), vhost()).unwrap();
    assert_ne!(one.url(), two.url());
    let permissions = ["list_permissions", "-p", one.name(), "--no-table-headers"];
    let permissions = one.control().rabbitmqctl(&permissions).await.unwrap();
    assert_eq!(permissions, "signpost\t.*\t.*\t.*\n");

    let name = one.name().to_owned();
    drop(one);
    let control = rabbit_control().await.unwrap();
    wait_until("the vhost is deleted", PATIENCE, async || {
        let exists = format!("rabbit_vhost:exists(<<\"{name}\">>).");
        match control.eval(&exists).await.unwrap().as_str() {
            "false" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
}

#[tokio::test]
async fn erlang_that_fails_is_an_error_with_its_reason() {
    let control = rabbit_control().await.unwrap();
    let error = control.eval("1 = 2.").await.unwrap_err().to_string();
    assert!(error.contains("badmatch"), "{error}");
}
