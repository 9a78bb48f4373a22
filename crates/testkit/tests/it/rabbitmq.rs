//! The private RabbitMQ keeps its data over restarts and crashes, and loses it when wiped.

use signpost_testkit::{PrivateRabbit, scratch_dir};

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
