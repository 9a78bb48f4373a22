//! One of three brokers dies, the one that leads every queue and that everybody is connected to.

use std::net::SocketAddr;

use signpost_testkit::{FaultProxy, RabbitCluster, database, scratch_dir, wait_until};

use super::{TURNS, all_arrived, publish, set_up};
use crate::world::{PATIENCE, Plan, World};

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Whether the first broker leads every queue, and every queue has three replicas.
const IS_WHOLE: &str = "Queues = rabbit_amqqueue:list(<<\"/\">>), \
    Queues =/= [] andalso lists:all(fun(Q) -> element(2, amqqueue:get_pid(Q)) =:= node() \
    andalso length(rabbit_amqqueue:get_quorum_nodes(Q)) =:= 3 end, Queues).";

#[tokio::test]
async fn the_loss_of_the_leading_broker_loses_and_doubles_nothing() {
    let _turn = TURNS.acquire_many(2).await.unwrap();
    let cluster = RabbitCluster::start(scratch_dir("cluster").unwrap())
        .await
        .unwrap();
    let [first, second, _] = cluster.nodes();
    let proxy = FaultProxy::start(address(first.port())).await.unwrap();
    let database = database().await.unwrap();
    let world = World::start(Plan {
        dispatchers: 2,
        amqp_url: Some(proxy.url_through(&first.url()).unwrap()),
        database_url: Some(database.url().to_owned()),
        time_scale: 0.1,
        ..Plan::default()
    })
    .await;
    set_up(&world).await;
    wait_until(
        "every queue has three replicas",
        PATIENCE,
        async || match first.control().eval(IS_WHOLE).await.unwrap().as_str() {
            "true" => Ok(()),
            other => Err(other.to_owned()),
        },
    )
    .await;
    publish(&world, 0, 40).await;
    tokio::join!(publish(&world, 40, 60), async {
        first.kill().await.unwrap();
        proxy.lead_to(address(second.port()));
    });
    publish(&world, 100, 40).await;
    first.start_again().await.unwrap();
    publish(&world, 140, 10).await;
    let arrivals = all_arrived(&world, &database, 150).await;
    let twice: Vec<_> = arrivals.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "no process of ours died: {twice:?}");
}
