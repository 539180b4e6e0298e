//! A list by mail-builder, mail-auth and mail-send: 20 connections, each with its client.

use std::borrow::Cow;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use mail_builder::MessageBuilder;
use mail_send::SmtpClientBuilder;
use mail_send::smtp::message::Message;
use peer_kit::{Job, Letter, prepare};

fn main() -> anyhow::Result<()> {
    // The client's builder makes a TLS connector, whether or not one is needed.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow!("TLS has a provider already"))?;
    peer_kit::main(send)
}

async fn send(job: Job) -> anyhow::Result<usize> {
    let ready = prepare(&job, builder(&job)?)?;
    let mut tasks = Vec::new();
    for _ in 0..job.connections {
        let (ready, port, return_path) = (ready.clone(), job.port, job.return_path.clone());
        tasks.push(tokio::spawn(async move {
            let builder = SmtpClientBuilder::new("127.0.0.1", port)
                .map_err(|error| anyhow!(error))?
                .implicit_tls(false);
            let mut client = builder.connect_plain().await.context("connecting")?;
            // It writes the end of a message apart from its text: with Nagle's algorithm each would
            // wait for an acknowledgement.
            client.stream.set_nodelay(true)?;
            let mut sent = 0;
            while let Ok(prepared) = ready.recv().await {
                let prepared = prepared?;
                let message = Message::new(
                    return_path.as_str(),
                    [prepared.email.as_str()],
                    Cow::from(prepared.message),
                );
                client.send(message).await.with_context(|| prepared.email.clone())?;
                sent += 1;
            }
            client.quit().await?;
            anyhow::Ok(sent)
        }));
    }
    drop(ready);
    let mut sent = 0;
    for task in tasks {
        sent += task.await??;
    }
    Ok(sent)
}

fn builder(job: &Job) -> anyhow::Result<impl Fn(&Letter) -> anyhow::Result<Vec<u8>> + Clone + Send + use<>> {
    let from = Arc::new((job.from_name.clone(), job.from.clone()));
    let attachment = job.attachment()?.map(Arc::new);
    Ok(move |letter: &Letter| {
        let mut message = MessageBuilder::new()
            .from((from.0.as_str(), from.1.as_str()))
            .to((letter.name.as_str(), letter.email.as_str()))
            .subject(letter.subject.as_str())
            .text_body(letter.text.as_str())
            .html_body(letter.html.as_str());
        if let Some(file) = attachment.as_deref() {
            message = message.attachment("application/pdf", file.name.as_str(), file.contents.as_slice());
        }
        Ok(message.write_to_vec()?)
    })
}
