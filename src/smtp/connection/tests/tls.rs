//! TLS: when it is used, what is verified, what is refused.

use super::*;

#[tokio::test]
async fn starttls_with_a_trusted_certificate() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS PIPELINING").await;
        let mut peer = peer.starts_tls(&acceptor).await;
        peer.offers("PIPELINING CHUNKING").await;
        peer.takes_over(1).await;
        peer.farewell().await;
    })
    .await;
    let connection = connect(&target(address, identity.trusted(RelayTls::Required))).await.unwrap();
    let tls = connection.info().tls.clone().unwrap();
    assert!(tls.starts_with("TLSv1.3 TLS_") && !tls.contains("TLS13"), "{tls}");
    assert!(connection.info().capabilities.chunking, "capabilities offered in clear are discarded");
    let serving = Serving::new(connection, ConnectionLimits::default());
    serving.work.send(transaction(1, 1_000_000)).await.unwrap();
    let (reports, closed) = serving.end().await;
    assert!(reports[0].fates[0].is_accepted(), "{reports:?}");
    assert_eq!(closed, Closed::WorkEnded);
    server.await.unwrap();
}

#[tokio::test]
async fn implicit_tls() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("PIPELINING CHUNKING").await;
        peer.takes_over(1).await;
        peer.farewell().await;
    })
    .await;
    let connection = connect(&target(address, identity.trusted(RelayTls::Implicit))).await.unwrap();
    assert!(connection.info().tls.is_some());
    let serving = Serving::new(connection, ConnectionLimits::default());
    serving.work.send(transaction(1, 100)).await.unwrap();
    let (reports, _) = serving.end().await;
    assert!(reports[0].fates[0].is_accepted(), "{reports:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_message_is_not_held_back_by_tls() {
    // The server reads nothing until the client can write no more. The sizes are close enough to
    // each other that one of them ends in bytes that TLS holds while the socket accepts nothing.
    let identity = Identity::new(HOST);
    for bytes in (1..10).map(|step| step * 20_000) {
        let acceptor = identity.acceptor.clone();
        let (address, server) = server(async move |listener| {
            let socket = socket2::SockRef::from(&listener);
            socket.set_recv_buffer_size(4_096).unwrap();
            let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
            peer.opens("PIPELINING CHUNKING").await;
            for _ in 0..2_000 {
                tokio::task::yield_now().await;
            }
            peer.takes_over(1).await;
            peer.farewell().await;
        })
        .await;
        // Lets the server set its buffer before the client connects.
        tokio::task::yield_now().await;
        let mut target = target(address, identity.trusted(RelayTls::Implicit));
        target.timeouts.end_of_data = Span(Duration::from_secs(20));
        let connection = connect(&target).await.unwrap();
        let Stream::Tls(stream) = &connection.stream else { panic!("no TLS") };
        socket2::SockRef::from(stream.get_ref().0).set_send_buffer_size(4_096).unwrap();
        let serving = Serving::new(connection, ConnectionLimits::default());
        serving.work.send(transaction(1, bytes)).await.unwrap();
        let (reports, _) = serving.end().await;
        assert!(reports[0].fates[0].is_accepted(), "{bytes} bytes: {reports:?}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn certificates_that_are_not_trusted() {
    let (identity, stranger, other_host) =
        (Identity::new(HOST), Identity::new(HOST), Identity::new("other.example"));
    let self_signed = Identity::self_signed(HOST);
    for (security, acceptor, why) in [
        (
            identity.trusted(RelayTls::Required),
            stranger.acceptor.clone(),
            "an issuer that is not trusted here",
        ),
        (other_host.trusted(RelayTls::Required), other_host.acceptor.clone(), "only valid for"),
        (
            self_signed.trusted(RelayTls::Required),
            self_signed.acceptor.clone(),
            "or one that it signed itself",
        ),
        (
            Security::new(RelayTls::Required, None).unwrap_or_else(|_| identity.trusted(RelayTls::Required)),
            stranger.acceptor.clone(),
            "an issuer that is not trusted here",
        ),
    ] {
        let (address, server) = server(async move |listener| {
            let mut peer = Peer::accept(&listener).await;
            peer.opens("STARTTLS").await;
            peer.hears("STARTTLS").await;
            peer.says("220 go\r\n").await;
            assert!(peer.secure(&acceptor).await.is_err());
        })
        .await;
        let (concern, problem) = problem(&target(address, security)).await;
        assert!(matches!(&problem, ConnectProblem::Handshake(text) if text.contains(why)), "{problem}");
        assert_eq!(concern, Concern::Tls);
        server.await.unwrap();
    }
}

#[tokio::test]
async fn required_tls_that_is_not_to_be_had() {
    let identity = Identity::new(HOST);
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING").await;
        peer.is_left().await;
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.hears("STARTTLS").await;
        peer.says("454 4.7.0 not now\r\n").await;
        peer.is_left().await;
    })
    .await;
    let target = target(address, identity.trusted(RelayTls::Required));
    assert_eq!(problem(&target).await, (Concern::Tls, ConnectProblem::NoStartTls));
    let error = connect(&target).await.unwrap_err();
    assert_eq!((error.concern(), error.reply().map(|reply| reply.code)), (Concern::Tls, Some(454)));
    assert_eq!(error.remote_ip, Some(address.ip()));
    server.await.unwrap();
}

#[tokio::test]
async fn encryption_without_a_certificate_to_trust() {
    let stranger = Identity::new("other.example");
    let acceptor = stranger.acceptor.clone();
    let (address, server) = server(async move |listener| {
        // A certificate that nobody trusts.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.starts_tls(&acceptor).await.offers("PIPELINING").await;
        // Not offered.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING").await;
        peer.is_left().await;
        // Refused.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.hears("STARTTLS").await;
        peer.says("454 4.7.0 not now\r\n").await;
        peer.is_left().await;
        // The handshake fails.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.hears("STARTTLS").await;
        peer.says("220 go\r\n").await;
        peer.0.read_u8().await.unwrap();
        peer.says("this is no TLS\r\n").await;
    })
    .await;
    let target = target(address, Security::encrypted());
    assert!(connect(&target).await.unwrap().info().tls.is_some());
    assert_eq!(problem(&target).await, (Concern::Tls, ConnectProblem::NoStartTls));
    let refused = connect(&target).await.unwrap_err();
    assert_eq!((refused.concern(), refused.reply().map(|reply| reply.code)), (Concern::Tls, Some(454)));
    // Another attempt in clear would find nobody listening.
    let (concern, problem) = problem(&target).await;
    assert!(matches!(problem, ConnectProblem::Handshake(_)), "{problem}");
    assert_eq!(concern, Concern::Tls);
    server.await.unwrap();
}

#[tokio::test]
async fn opportunistic_tls() {
    let stranger = Identity::new("other.example");
    let acceptor = stranger.acceptor.clone();
    let (address, server) = server(async move |listener| {
        // A certificate that nobody trusts.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.starts_tls(&acceptor).await.offers("PIPELINING").await;
        // Not offered.
        Peer::accept(&listener).await.opens("PIPELINING").await;
        // Refused.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS PIPELINING").await;
        peer.hears("STARTTLS").await;
        peer.says("454 4.7.0 not now\r\n").await;
        // The handshake fails: again, in clear.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.hears("STARTTLS").await;
        peer.says("220 go\r\n").await;
        peer.0.read_u8().await.unwrap();
        peer.says("this is no TLS\r\n").await;
        drop(peer);
        Peer::accept(&listener).await.opens("STARTTLS PIPELINING").await;
    })
    .await;
    let target = target(address, Security::new(RelayTls::Opportunistic, None).unwrap());
    for tls in [true, false, false, false] {
        let connection = connect(&target).await.unwrap();
        assert_eq!(connection.info().tls.is_some(), tls);
        assert!(connection.info().capabilities.pipelining);
    }
    server.await.unwrap();
}

#[tokio::test]
async fn replies_injected_behind_starttls() {
    let identity = Identity::new(HOST);
    let (address, server) = server(async |listener| {
        for _ in 0..2 {
            let mut peer = Peer::accept(&listener).await;
            peer.opens("STARTTLS").await;
            peer.hears("STARTTLS").await;
            peer.says("220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n").await;
            peer.is_left().await;
        }
    })
    .await;
    for security in
        [identity.trusted(RelayTls::Required), Security::new(RelayTls::Opportunistic, None).unwrap()]
    {
        assert_eq!(problem(&target(address, security)).await, (Concern::Tls, ConnectProblem::Injected));
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_server_that_asks_for_one() {
    let identity = Identity::new(HOST);
    // The server trusts its own issuer for clients, too.
    let (certificate, key) = identity.client_files();
    let acceptor = identity.asking_for_certificates();
    let (address, server) = server(async move |listener| {
        let (tcp, _) = listener.accept().await.unwrap();
        let tls = acceptor.accept(tcp).await.unwrap();
        assert!(tls.get_ref().1.peer_certificates().is_some());
        Peer(BufReader::new(Box::new(tls))).opens("PIPELINING").await;
        let (tcp, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(tcp).await.is_err(), "without one nobody is let in");
    })
    .await;
    let client = ClientIdentity { certificate: certificate.path(), key: key.path() };
    let security =
        Security::with_client(RelayTls::Implicit, Some(identity.ca_file.path()), Some(client)).unwrap();
    connect(&target(address, security)).await.unwrap();
    connect(&target(address, identity.trusted(RelayTls::Implicit))).await.unwrap_err();
    server.await.unwrap();
}

#[tokio::test]
async fn tls_sessions_resume() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        for resumed in [false, true] {
            let (tcp, _) = listener.accept().await.unwrap();
            let tls = acceptor.accept(tcp).await.unwrap();
            let kind = tls.get_ref().1.handshake_kind();
            assert_eq!(kind == Some(rustls::HandshakeKind::Resumed), resumed, "{kind:?}");
            Peer(BufReader::new(Box::new(tls))).opens("PIPELINING").await;
        }
    })
    .await;
    let target = target(address, identity.trusted(RelayTls::Implicit));
    connect(&target).await.unwrap();
    connect(&target.clone()).await.unwrap();
    server.await.unwrap();
}
