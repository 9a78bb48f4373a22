//! The private RabbitMQ keeps its data over restarts and crashes, and loses it when wiped.

use signpost_testkit::{PrivateRabbit, RabbitCluster, scratch_dir, wait_until};

use crate::PATIENCE;

/// Declares a durable quorum queue with one persistent message, by Erlang alone: AMQP libraries
/// belong to the `broker` crate.
const DECLARE: &str = r#"
    Name = rabbit_misc:r(<<"/">>, queue, <<"kept">>),
    {new, _} = rabbit_amqqueue:declare(Name, true, false,
        [{<<"x-queue-type">>, longstr, <<"quorum">>}], none, <<"signpost">>),
    ok."#;

async fn queues(rabbit: &PrivateRabbit) -> String {
    rabbit
        .rabbitmqctl(&["list_queues", "name", "type", "--no-table-headers"])
        .await
        .unwrap()
}

#[tokio::test]
async fn keeps_its_queues_over_restart_and_kill_and_loses_them_when_wiped() {
    let rabbit = PrivateRabbit::start(scratch_dir("rabbitmq").unwrap())
        .await
        .unwrap();
    let (port, url) = (rabbit.port(), rabbit.url());
    assert_eq!(rabbit.control().eval(DECLARE).await.unwrap(), "ok");

    rabbit.restart().await.unwrap();
    assert_eq!(queues(&rabbit).await, "kept\tquorum\n");

    rabbit.kill().await.unwrap();
    assert!(rabbit.control().eval("ok.").await.is_err());
    rabbit.start_again().await.unwrap();
    assert_eq!(queues(&rabbit).await, "kept\tquorum\n");

    rabbit.wipe().await.unwrap();
    assert_eq!(rabbit.pid(), None);
    rabbit.start_again().await.unwrap();
    assert_eq!(queues(&rabbit).await, "");
    assert_eq!((rabbit.port(), rabbit.url()), (port, url));
}

#[tokio::test]
async fn three_brokers_are_one_cluster_whatever_becomes_of_one() {
    let cluster = RabbitCluster::start(scratch_dir("cluster").unwrap())
        .await
        .unwrap();
    let [first, second, _] = cluster.nodes();
    let until_running = async |wanted: &str| {
        let running = "length(rabbit_nodes:all_running()).";
        wait_until("so many brokers run", PATIENCE, async || {
            match second.control().eval(running).await {
                Ok(count) if count == wanted => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    };
    until_running("3").await;
    first.kill().await.unwrap();
    until_running("2").await;
    first.start_again().await.unwrap();
    until_running("3").await;
}
