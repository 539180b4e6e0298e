//! AUTH PLAIN (RFC 4616) and LOGIN (RFC 4954), by default only over TLS.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::options::Credentials;
use super::super::stats::count;
use super::login::Login;
use super::{Session, State, Step};

impl Session {
    /// True when EHLO offers AUTH.
    pub(super) fn offers_auth(&self) -> bool {
        let options = &self.common.options;
        options.auth.is_some() && !self.logged_in && (self.secure || options.auth_in_clear)
    }

    /// Handles AUTH. `mechanism` is a bit of `smtp_proto::AUTH_…`; `initial` is the initial
    /// response, empty if there is none.
    pub(super) fn auth(&mut self, mechanism: u64, initial: &str, out: &mut Vec<u8>) -> Option<Step> {
        let options = &self.common.options;
        if options.auth.is_none() || !self.greeted.as_ref().is_some_and(|(_, extended)| *extended) {
            return self.client_error(out, 503, "5.5.1", "Error: authentication not enabled");
        }
        if self.logged_in || self.transaction.is_some() {
            return self.client_error(out, 503, "5.5.1", "Error: AUTH out of sequence");
        }
        if !self.offers_auth() {
            return self.client_error(out, 538, "5.7.11", "Encryption required for requested authentication");
        }
        let login = match mechanism {
            smtp_proto::AUTH_PLAIN => Login::Plain,
            smtp_proto::AUTH_LOGIN => Login::User,
            _ => return self.answer(out, 504, "5.5.4", "Error: authentication mechanism not offered"),
        };
        match (initial, login) {
            ("", login) => self.ask(login, out),
            // RFC 4954 §4: `=` means an empty initial response.
            ("=", login) => self.login(login, "", out),
            (initial, login) => self.login(login, initial, out),
        }
    }

    /// Asks for the next line of the exchange.
    fn ask(&mut self, login: Login, out: &mut Vec<u8>) -> Option<Step> {
        let challenge = match login {
            Login::Plain => "",
            Login::User => "VXNlcm5hbWU6",
            Login::Password { .. } => "UGFzc3dvcmQ6",
        };
        write!(out, "334 {challenge}\r\n").expect("writing to a Vec can't fail");
        self.state = State::Login(login);
        None
    }

    /// Handles a line of the exchange, which is in base64.
    pub(super) fn login(&mut self, login: Login, line: &str, out: &mut Vec<u8>) -> Option<Step> {
        if line == "*" {
            return self.answer(out, 501, "5.7.0", "Authentication aborted");
        }
        let decoded = STANDARD.decode(line).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(text) = decoded else {
            return self.client_error(out, 501, "5.5.2", "Error: malformed authentication data");
        };
        if self.common.options.repeats_login {
            self.repeated = format!(" ({line}, {})", text.replace('\0', " "));
        }
        match login {
            Login::User => self.ask(Login::Password { user: text }, out),
            Login::Password { user } => self.verify(&user, &text, out),
            Login::Plain => match text.split('\0').collect::<Vec<_>>()[..] {
                [_, user, password] => self.verify(user, password, out),
                _ => self.client_error(out, 501, "5.5.2", "Error: malformed authentication data"),
            },
        }
    }

    fn verify(&mut self, user: &str, password: &str, out: &mut Vec<u8>) -> Option<Step> {
        let given = Credentials { user: user.to_owned(), password: password.to_owned() };
        if self.common.options.auth.as_ref() != Some(&given) {
            return self.answer(out, 535, "5.7.8", "Error: authentication failed");
        }
        self.logged_in = true;
        count(&self.common.counters.logins);
        self.answer(out, 235, "2.7.0", "Authentication successful")
    }
}
