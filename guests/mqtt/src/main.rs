//! A client of MQTT as a command: `mqtt HOST:PORT TOPIC MESSAGE…` subscribes to a topic, publishes each message to it, and prints
//! what comes back until all of it has.
//!
//! Tokio would look the host up on a thread of its own, which there is none of; so the standard library does, and the driver is
//! given an address.

use std::env;
use std::net::ToSocketAddrs;

use anyhow::{Context, Result, bail};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [server, topic, messages @ ..] = &arguments[..] else {
        bail!("usage: mqtt HOST:PORT TOPIC MESSAGE…");
    };
    let address = server.to_socket_addrs().with_context(|| server.clone())?;
    let address = address.into_iter().next().context("no address")?;
    let options = MqttOptions::new("outport-example", address.ip().to_string(), address.port());
    // One subscription and each message wait here until the connection is polled.
    let (client, mut connection) = AsyncClient::new(options, messages.len() + 1);
    client.subscribe(topic, QoS::AtLeastOnce).await?;
    let mut awaited = messages.len();
    while awaited > 0 {
        match connection.poll().await.with_context(|| server.clone())? {
            Event::Incoming(Packet::SubAck(_)) => {
                for message in messages {
                    client
                        .publish(topic, QoS::AtLeastOnce, false, message.as_bytes())
                        .await?;
                }
            }
            Event::Incoming(Packet::Publish(message)) => {
                println!("{}: {}", message.topic, String::from_utf8_lossy(&message.payload));
                awaited -= 1;
            }
            _ => {}
        }
    }
    Ok(())
}
