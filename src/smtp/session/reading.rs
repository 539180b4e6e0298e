//! What a reply means for the transaction whose command it answers.

use crate::mail::{Reply, Timestamp};
use crate::smtp::{Command, Fate, Report, SessionError};

use super::outgoing::{Expected, Outgoing};
use super::{Active, Made, Session};

impl Session {
    /// One reply, in order.
    pub(super) fn on_reply(&mut self, reply: Reply, now: Timestamp) {
        self.progress += 1;
        let Some(Expected { command, end }) = self.outgoing.oldest() else {
            return self.on_closing(reply, now);
        };
        let early = !self.outgoing.has_written(end);
        if !fits(command, &reply) || (early && !is_refusal(&reply)) {
            return self.on_misfit(command, &reply, now);
        }
        self.outgoing.answered();
        self.note_stale(command, &reply);
        if command == Command::Quit {
            return self.break_off(SessionError::ClosedIdle, now);
        }
        if let Some(first) = self.active.front_mut() {
            first.unanswered -= 1;
            first.go_ahead |= command == Command::Data && reply.is_intermediate();
            first.note_archive(command, &reply);
            let closing = (reply.code == 421).then(|| reply.clone());
            first.note_fates(command, reply);
            if first.open == 0 && !first.reported {
                let made = Made { report: first.report(now), complete: first.is_complete(&self.outgoing) };
                if first.transaction.envelope.archive.is_some() {
                    first.held = Some(made);
                } else {
                    self.reports.push_back(made);
                }
            }
            if let Some(reply) = closing {
                self.retire();
                return self.wind_down(SessionError::Closing(reply), now);
            }
        }
        self.retire();
        self.advance(now);
        if self.ended.is_some() {
            self.wind_up(now);
        }
    }

    /// True for a reply that answers no command. 421 may come at any time (RFC 5321 §3.8), and so
    /// may anything once the session has ended.
    pub(super) fn is_unasked(&self, reply: &Reply) -> bool {
        self.outgoing.oldest().is_none() && self.ended.is_none() && reply.code != 421
    }

    /// A reply too many. One of the replies before it was not the answer that it was taken for, so
    /// nothing is believed of the reports that were made since there were `before`: a message that
    /// was written whole is in doubt, any other has failed.
    pub(super) fn on_unasked(&mut self, reply: &Reply, before: usize, now: Timestamp) {
        let error = SessionError::Protocol(format!("reply to nothing: {reply}"));
        for Made { report, complete } in self.reports.iter_mut().skip(before) {
            for fate in &mut report.fates {
                if let Fate::Replied { .. } = fate {
                    let error = error.clone();
                    *fate = if *complete { Fate::InDoubt { error } } else { Fate::Failed { error } };
                }
            }
            report.archive = None;
        }
        self.break_off(error, now);
    }

    /// The server closes although it owes no answer.
    fn on_closing(&mut self, reply: Reply, now: Timestamp) {
        let error = self.ended.clone().unwrap_or(SessionError::Closing(reply));
        self.break_off(error, now);
    }

    /// A reply that is impossible here. From now on no reply can be matched to its command.
    fn on_misfit(&mut self, command: Command, reply: &Reply, now: Timestamp) {
        let error = SessionError::Protocol(format!("unexpected reply to `{command}`: {reply}"));
        // The server claims to have the message although it can't have seen all of it: it must not
        // be sent again.
        if let Some(first) = self.active.front_mut().filter(|first| !first.reported)
            && command == Command::EndOfMessage
            && reply.is_positive()
        {
            first.decide(&Fate::InDoubt { error: error.clone() });
            let report = first.report(now);
            self.reports.push_back(Made { report, complete: true });
        }
        self.break_off(error, now);
    }

    /// Keeps track of whether the server may have a transaction open.
    fn note_stale(&mut self, command: Command, reply: &Reply) {
        match command {
            Command::Mail => self.stale |= reply.is_positive(),
            Command::Rset => self.stale = false,
            // RFC 5321 §4.1.1.4: the end of the message clears the transaction, whatever the reply.
            // RFC 3030 §2: after a failed BDAT its state is not known.
            Command::EndOfMessage => self.stale = self.capabilities.chunking && !reply.is_positive(),
            Command::Rcpt | Command::ArchiveRcpt | Command::Data | Command::Quit => {}
            Command::Connect | Command::Ehlo | Command::StartTls | Command::Auth => {}
        }
    }
}

impl Active {
    /// The report: every fate is known.
    pub(super) fn report(&mut self, now: Timestamp) -> Report {
        self.reported = true;
        let started_at = self.started.map_or(now, |(_, at)| at);
        let fates = std::mem::take(&mut self.fates).into_iter().flatten().collect();
        Report { id: self.transaction.id, fates, archive: self.archive.clone(), started_at, finished_at: now }
    }

    /// Gives this fate to all recipients whose fate is open.
    pub(super) fn decide(&mut self, fate: &Fate) {
        self.fates.iter_mut().filter(|known| known.is_none()).for_each(|known| *known = Some(fate.clone()));
        self.open = 0;
    }

    /// Notes what a reply means for the recipients' fates.
    fn note_fates(&mut self, command: Command, reply: Reply) {
        match command {
            Command::Rcpt => {
                let known = self.fates.get_mut(self.rcpts_answered);
                self.rcpts_answered += 1;
                if let Some(known @ None) = known
                    && is_refusal(&reply)
                {
                    *known = Some(Fate::Replied { reply, to: command });
                    self.open -= 1;
                }
            }
            Command::EndOfMessage => self.decide(&Fate::Replied { reply, to: command }),
            // A refused RSET can only be 421: then nothing after it is read any more.
            Command::Mail | Command::Data | Command::Rset if is_refusal(&reply) => {
                self.decide(&Fate::Replied { reply, to: command });
            }
            // A 421 to the archive's RCPT ends the session, as a 421 to nothing does.
            Command::Mail | Command::Data | Command::Rset | Command::ArchiveRcpt => {}
            Command::Connect | Command::Ehlo | Command::StartTls | Command::Auth | Command::Quit => {}
        }
    }

    /// The report that waited for the archive's reply.
    pub(super) fn into_held(self) -> Option<Made> {
        let archive = self.archive;
        self.held.map(|made| Made { report: Report { archive, ..made.report }, ..made })
    }

    /// True when the complete message was handed to the socket.
    pub(super) fn is_complete(&self, outgoing: &Outgoing) -> bool {
        self.complete_at.is_some_and(|end| outgoing.has_written(end))
    }

    /// Keeps the reply that decides about the archive's copy.
    fn note_archive(&mut self, command: Command, reply: &Reply) {
        let decides = match command {
            Command::ArchiveRcpt => {
                self.archive_accepted = reply.is_positive();
                // After a refused recipient no copy is wanted.
                is_refusal(reply) && !self.reported
            }
            Command::Data => self.archive_accepted && is_refusal(reply),
            Command::EndOfMessage => self.archive_accepted,
            Command::Connect | Command::Ehlo | Command::StartTls | Command::Auth => false,
            Command::Rset | Command::Mail | Command::Rcpt | Command::Quit => false,
        };
        if decides {
            self.archive = Some(reply.clone());
        }
    }
}

/// True when the reply can be the answer to the command (RFC 5321 §4.3.2).
fn fits(command: Command, reply: &Reply) -> bool {
    match command {
        Command::Data => reply.is_intermediate() || is_refusal(reply),
        // If RSET fails, the server can't know where one message ends and the next begins.
        Command::Rset => reply.is_positive() || reply.code == 421,
        Command::Mail | Command::Rcpt | Command::ArchiveRcpt | Command::EndOfMessage => {
            reply.is_positive() || is_refusal(reply)
        }
        Command::Quit => true,
        Command::Connect | Command::Ehlo | Command::StartTls | Command::Auth => false,
    }
}

fn is_refusal(reply: &Reply) -> bool {
    reply.is_transient() || reply.is_permanent()
}
