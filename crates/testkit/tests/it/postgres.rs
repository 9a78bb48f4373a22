//! The private PostgreSQL keeps its data over restarts and crashes, and loses it when wiped.

use signpost_testkit::{PostgresOptions, PrivatePostgres, scratch_dir};

async fn start() -> PrivatePostgres {
    PrivatePostgres::start(scratch_dir("postgres").unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn keeps_its_data_over_restart_and_kill_and_loses_it_when_wiped() {
    let postgres = start().await;
    let (port, url) = (postgres.port(), postgres.url());
    postgres
        .psql("create table kept (n int); insert into kept values (7)")
        .await
        .unwrap();

    postgres.restart().await.unwrap();
    assert_eq!(postgres.psql("select n from kept").await.unwrap(), "7");

    postgres.kill().await.unwrap();
    assert!(postgres.psql("select 1").await.is_err());
    postgres.start_again().await.unwrap();
    assert_eq!(postgres.psql("select n from kept").await.unwrap(), "7");

    postgres.wipe().await.unwrap();
    assert_eq!(postgres.pid(), None);
    postgres.start_again().await.unwrap();
    assert!(postgres.psql("select n from kept").await.is_err());
    assert_eq!((postgres.port(), postgres.url()), (port, url));
}

#[tokio::test]
async fn its_role_owns_the_databases_and_is_no_superuser() {
    let options = PostgresOptions { is_durable: false };
    let dir = scratch_dir("postgres").unwrap();
    let postgres = PrivatePostgres::start_with(dir, options).await.unwrap();
    let database = postgres.database().await.unwrap();
    let role = "select current_user, usesuper from pg_user where usename = current_user";
    assert_eq!(database.psql(role).await.unwrap(), "signpost|f");
    database
        .psql("create schema mine; create table mine.t ()")
        .await
        .unwrap();
}

#[tokio::test]
async fn data_is_used_again_by_a_later_start_in_the_same_folder() {
    let dir = scratch_dir("postgres").unwrap();
    let postgres = PrivatePostgres::start(&dir).await.unwrap();
    postgres.psql("create table kept ()").await.unwrap();
    drop(postgres);
    let postgres = PrivatePostgres::start(&dir).await.unwrap();
    postgres.psql("select from kept").await.unwrap();
}
