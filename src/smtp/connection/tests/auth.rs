//! Logging in.

use super::*;

#[tokio::test]
async fn auth_plain_and_login() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=PLAIN=LOGIN").await;
        peer.hears("AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm").await;
        peer.says("235 2.7.0 welcome\r\n").await;
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=CRAM-MD5").await;
        peer.hears("AUTH CRAM-MD5").await;
        peer.says("334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n").await;
        peer.hears("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw").await;
        peer.says("235 2.7.0 welcome\r\n").await;
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=LOGIN").await;
        peer.hears("AUTH LOGIN").await;
        peer.says("334 VXNlcm5hbWU6\r\n").await;
        peer.hears("dGlt").await;
        peer.says("334 UGFzc3dvcmQ6\r\n").await;
        peer.hears("dGFuc3RhYWZ0YW5zdGFhZg==").await;
        peer.says("235 2.7.0 welcome\r\n").await;
    })
    .await;
    let target = Target { credentials: tim(), ..target(address, identity.trusted(RelayTls::Implicit)) };
    for _ in 0..3 {
        connect(&target).await.unwrap();
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let line = |number: u8| {
        let text = format!("user=tim\u{1}auth=Bearer t0ken{number}\u{1}\u{1}");
        format!("AUTH XOAUTH2 {}", BASE64_STANDARD.encode(text))
    };
    let refusal = "535 5.7.8 expired\r\n";
    let (address, server) = server(async move |listener| {
        // A new token is accepted; later it is refused, and a newer one is accepted; then nothing
        // helps.
        for exchange in
            [vec![(1, "235 ok\r\n")], vec![(1, refusal), (2, "235 ok\r\n")], vec![(2, refusal), (3, refusal)]]
        {
            let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
            peer.opens("AUTH=XOAUTH2").await;
            for (number, reply) in exchange {
                peer.hears(&line(number)).await;
                // RFC 7628 §3.2.3: the reason comes as a challenge, and an empty line gets the
                // refusal.
                if reply == refusal {
                    peer.says("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n").await;
                    peer.hears("").await;
                }
                peer.says(reply).await;
            }
            peer.is_left().await;
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let script = format!("cd '{}'; echo >> n; echo t0ken$(($(wc -l < n)))", folder.path().display());
    let source = TokenSource::new(["sh", "-c", &script].map(str::to_owned).to_vec(), Duration::from_secs(60));
    let credentials = Some(Credentials::Tokens { username: "tim".into(), source });
    let target = Target { credentials, ..target(address, identity.trusted(RelayTls::Implicit)) };
    connect(&target).await.unwrap();
    connect(&target).await.unwrap();
    let error = connect(&target).await.unwrap_err();
    assert_eq!((error.concern(), error.reply().map(|reply| reply.code)), (Concern::Auth, Some(535)));
    assert!(!format!("{error:?} {error} {target:?}").contains("t0ken3"));
    server.await.unwrap();
}

#[tokio::test]
async fn auth_that_fails() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=PLAIN").await;
        peer.line().await;
        peer.says("535 5.7.8 wrong\r\n").await;
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=GSSAPI").await;
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=LOGIN").await;
        peer.line().await;
        peer.says("334 Q29sb3VyOg==\r\n").await;
        peer.is_left().await;
    })
    .await;
    // The second address is not tried: credentials are no better there.
    let mut target = Target { credentials: tim(), ..target(address, identity.trusted(RelayTls::Implicit)) };
    target.addresses.push(address);
    let error = connect(&target).await.unwrap_err();
    assert_eq!((error.concern(), error.reply().map(|reply| reply.code)), (Concern::Auth, Some(535)));
    assert!(!format!("{error:?} {error}").contains("tanstaaf"));
    assert_eq!(problem(&target).await, (Concern::Auth, ConnectProblem::NoMechanism));
    let (concern, problem) = problem(&target).await;
    assert_eq!(concern, Concern::Protocol, "{problem}");
    server.await.unwrap();
}

#[tokio::test]
async fn credentials_never_go_in_clear() {
    let (address, server) = server(async |listener| {
        for offers in ["AUTH=PLAIN", "AUTH=PLAIN"] {
            let mut peer = Peer::accept(&listener).await;
            peer.opens(offers).await;
            peer.is_left().await;
        }
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS AUTH=PLAIN").await;
        peer.hears("STARTTLS").await;
        peer.says("220 go\r\nno").await;
        drop(peer);
        // A failed handshake must not lead to a second attempt in clear.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS AUTH=PLAIN").await;
        peer.hears("STARTTLS").await;
        peer.says("220 go\r\n").await;
        peer.0.read_u8().await.unwrap();
        peer.says("this is no TLS\r\n").await;
    })
    .await;
    let opportunistic = Security::new(RelayTls::Opportunistic, None).unwrap();
    let clear = Target { credentials: tim(), ..target(address, Security::None) };
    let maybe = Target { credentials: tim(), ..target(address, opportunistic) };
    assert_eq!(problem(&clear).await, (Concern::Auth, ConnectProblem::AuthWithoutTls));
    assert_eq!(problem(&maybe).await, (Concern::Auth, ConnectProblem::AuthWithoutTls));
    assert_eq!(problem(&maybe).await, (Concern::Tls, ConnectProblem::Injected));
    let (_, problem) = problem(&maybe).await;
    assert!(matches!(problem, ConnectProblem::Handshake(_)), "{problem}");
    server.await.unwrap();
}
