//! A list by lettre: its message builder, its pooled asynchronous transport, 20 tasks that send.
//! Signed by mail-auth, since lettre's own DKIM uses the `rsa` crate, which takes four times as
//! long.

use std::sync::Arc;

use anyhow::Context;
use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Body, Mailbox, Message, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use peer_kit::{Job, Letter, prepare};

fn main() -> anyhow::Result<()> {
    peer_kit::main(send)
}

async fn send(job: Job) -> anyhow::Result<usize> {
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(job.port)
        .pool_config(PoolConfig::new().max_size(u32::try_from(job.connections)?))
        .build();
    let ready = prepare(&job, builder(&job)?)?;
    let mut tasks = Vec::new();
    for _ in 0..job.connections {
        let (transport, ready, return_path) =
            (transport.clone(), ready.clone(), job.return_path.parse::<lettre::Address>()?);
        tasks.push(tokio::spawn(async move {
            let mut sent = 0;
            while let Ok(prepared) = ready.recv().await {
                let prepared = prepared?;
                let envelope = Envelope::new(Some(return_path.clone()), vec![prepared.email.parse()?])?;
                transport.send_raw(&envelope, &prepared.message).await.with_context(|| prepared.email)?;
                sent += 1;
            }
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

/// Builds a letter's message. The attachment is encoded once: `Body` holds it as it goes out.
fn builder(job: &Job) -> anyhow::Result<impl Fn(&Letter) -> anyhow::Result<Vec<u8>> + Clone + Send + use<>> {
    let from = Mailbox::new(Some(job.from_name.clone()), job.from.parse()?);
    let attachment = job.attachment()?.map(|file| Arc::new((file.name, Body::new(file.contents))));
    let pdf: ContentType = "application/pdf".parse()?;
    Ok(move |letter: &Letter| {
        let to = Mailbox::new(Some(letter.name.clone()), letter.email.parse()?);
        let message =
            Message::builder().from(from.clone()).to(to).subject(&letter.subject).date_now().message_id(None);
        let texts = MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone());
        let message = match attachment.as_deref() {
            None => message.multipart(texts)?,
            Some((name, body)) => {
                let file = Attachment::new(name.clone()).body(body.clone(), pdf.clone());
                message.multipart(MultiPart::mixed().multipart(texts).singlepart(file))?
            }
        };
        Ok(message.formatted())
    })
}
