//! MQTT: `HOST:PORT`.

use std::time::Duration;

use anyhow::Result;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

pub async fn rumqttc(address: &str) -> Result<()> {
    let address = crate::lookup(address)?;
    let mut options = MqttOptions::new("drivers", address.ip().to_string(), address.port());
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut connection) = AsyncClient::new(options, 64);
    client.subscribe("numbers/#", QoS::AtLeastOnce).await?;
    let mut received = 0;
    while received < 20 {
        match connection.poll().await? {
            Event::Incoming(Packet::SubAck(_)) => {
                for number in 0..20 {
                    client
                        .publish(
                            format!("numbers/{number}"),
                            QoS::AtLeastOnce,
                            false,
                            number.to_string(),
                        )
                        .await?;
                }
            }
            Event::Incoming(Packet::Publish(message)) => {
                println!("{} {}", message.topic, String::from_utf8_lossy(&message.payload));
                received += 1;
            }
            _ => {}
        }
    }
    Ok(())
}
