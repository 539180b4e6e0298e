//! A connection that ends when the server sends more than was asked for, or nothing for too long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long the server may be silent while it is asked something.
const SILENCE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    stream: S,
    /// What may still be read.
    left: usize,
    patience: Duration,
    silence: Pin<Box<Sleep>>,
}

impl<S> Bounded<S> {
    pub(super) fn new(stream: S, bytes: usize) -> Self {
        Self::with_patience(stream, bytes, SILENCE)
    }

    fn with_patience(stream: S, bytes: usize, patience: Duration) -> Self {
        Self { stream, left: bytes, patience, silence: Box::pin(sleep(patience)) }
    }

    /// So many bytes may be read from now on.
    pub(super) fn allow(&mut self, bytes: usize) {
        self.left = bytes;
        self.silence.as_mut().reset(Instant::now() + self.patience);
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(Err(io::Error::other("the server sends more than it was asked for")));
        }
        let room = buffer.remaining().min(this.left);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        match Pin::new(&mut this.stream).poll_read(cx, &mut part) {
            Poll::Ready(Ok(())) => {
                let length = part.filled().len();
                buffer.advance(length);
                this.left -= length;
                this.silence.as_mut().reset(Instant::now() + this.patience);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match this.silence.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn it_ends_after_so_many_bytes_and_after_silence() {
        let mut stream = Bounded::new(&b"0123456789"[..], 4);
        let mut read = [0; 4];
        stream.read_exact(&mut read).await.unwrap();
        let error = stream.read_exact(&mut read).await.unwrap_err();
        assert_eq!(error.to_string(), "the server sends more than it was asked for");
        stream.allow(4);
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"4567");

        let (client, _server) = tokio::io::duplex(16);
        let mut stream = Bounded::with_patience(client, 16, Duration::from_millis(10));
        let error = stream.read(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
