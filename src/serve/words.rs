//! The languages of the pages: those that templates know.

/// What the pages say in one language.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// The language (RFC 5646).
    pub tag: &'static str,
    /// What the page is about.
    pub title: &'static str,
    /// Whether they want no more mail.
    pub question: &'static str,
    /// What the button does.
    pub button: &'static str,
    /// They get no more.
    pub done: &'static str,
    /// The link is that of a test message.
    pub test: &'static str,
    /// The link says nothing.
    pub unknown: &'static str,
    /// It can't be kept now.
    pub failed: &'static str,
}

/// English is first: it is used where nothing else is understood.
const ALL: [Words; 8] = [
    Words {
        tag: "en",
        title: "Unsubscribe",
        question: "Do you want no more of these e-mails?",
        button: "Unsubscribe",
        done: "You are unsubscribed. You will get no more of these e-mails.",
        test: "This link is from a test message. It unsubscribes nobody.",
        unknown: "This link is not valid. Use the link in the e-mail as it is there, or answer the e-mail.",
        failed: "This could not be saved. Please try again in a minute.",
    },
    Words {
        tag: "de",
        title: "Abmelden",
        question: "Möchten Sie diese E-Mails nicht mehr bekommen?",
        button: "Abmelden",
        done: "Sie sind abgemeldet und bekommen diese E-Mails nicht mehr.",
        test: "Dieser Link stammt aus einer Testnachricht. Er meldet niemanden ab.",
        unknown: "Dieser Link ist nicht gültig. Benutzen Sie den Link so, wie er in der E-Mail steht, oder antworten Sie auf die E-Mail.",
        failed: "Das konnte nicht gespeichert werden. Bitte versuchen Sie es in einer Minute noch einmal.",
    },
    Words {
        tag: "fr",
        title: "Se désabonner",
        question: "Souhaitez-vous ne plus recevoir ces e-mails ?",
        button: "Se désabonner",
        done: "Vous êtes désabonné et ne recevrez plus ces e-mails.",
        test: "Ce lien provient d’un message de test. Il ne désabonne personne.",
        unknown: "Ce lien n’est pas valable. Utilisez le lien tel qu’il figure dans l’e-mail, ou répondez à l’e-mail.",
        failed: "L’enregistrement a échoué. Veuillez réessayer dans une minute.",
    },
    Words {
        tag: "es",
        title: "Darse de baja",
        question: "¿Quiere dejar de recibir estos correos?",
        button: "Darse de baja",
        done: "Se ha dado de baja y no recibirá más estos correos.",
        test: "Este enlace es de un mensaje de prueba. No da de baja a nadie.",
        unknown: "Este enlace no es válido. Use el enlace tal como está en el correo, o responda al correo.",
        failed: "No se ha podido guardar. Inténtelo de nuevo dentro de un minuto.",
    },
    Words {
        tag: "it",
        title: "Annulla l’iscrizione",
        question: "Non vuole più ricevere queste e-mail?",
        button: "Annulla l’iscrizione",
        done: "L’iscrizione è annullata: non riceverà più queste e-mail.",
        test: "Questo link proviene da un messaggio di prova. Non annulla nessuna iscrizione.",
        unknown: "Questo link non è valido. Usi il link così com’è nell’e-mail, oppure risponda all’e-mail.",
        failed: "Non è stato possibile salvare. Riprovi tra un minuto.",
    },
    Words {
        tag: "nl",
        title: "Afmelden",
        question: "Wilt u deze e-mails niet meer ontvangen?",
        button: "Afmelden",
        done: "U bent afgemeld en ontvangt deze e-mails niet meer.",
        test: "Deze link komt uit een testbericht. Hij meldt niemand af.",
        unknown: "Deze link is niet geldig. Gebruik de link zoals hij in de e-mail staat, of beantwoord de e-mail.",
        failed: "Dit kon niet worden opgeslagen. Probeer het over een minuut opnieuw.",
    },
    Words {
        tag: "pl",
        title: "Rezygnacja z subskrypcji",
        question: "Czy chcesz zrezygnować z tych wiadomości?",
        button: "Zrezygnuj",
        done: "Subskrypcja została anulowana. Nie będziesz już otrzymywać tych wiadomości.",
        test: "Ten link pochodzi z wiadomości testowej. Nikogo nie wypisuje.",
        unknown: "Ten link jest nieprawidłowy. Użyj linku w takiej postaci, jak w wiadomości, albo odpowiedz na nią.",
        failed: "Nie udało się tego zapisać. Spróbuj ponownie za minutę.",
    },
    Words {
        tag: "pt",
        title: "Cancelar a subscrição",
        question: "Não quer receber mais estes e-mails?",
        button: "Cancelar a subscrição",
        done: "A sua subscrição foi cancelada. Não receberá mais estes e-mails.",
        test: "Esta ligação é de uma mensagem de teste. Não cancela a subscrição de ninguém.",
        unknown: "Esta ligação não é válida. Use a ligação tal como está no e-mail, ou responda ao e-mail.",
        failed: "Não foi possível guardar. Tente novamente dentro de um minuto.",
    },
];

impl Words {
    /// Those of the first language of an `Accept-Language` (RFC 9110 §12.5.4) that is known, by
    /// its weights.
    pub(super) fn of(accepted: &str) -> &'static Self {
        let weighed = accepted.split(',').filter_map(|range| {
            let mut parts = range.split(';');
            let primary = parts.next()?.split('-').next()?.trim();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q="));
            let weight = weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0));
            let words = ALL.iter().find(|words| words.tag.eq_ignore_ascii_case(primary))?;
            (weight > 0.0).then_some((weight, words))
        });
        // The first of equal weight.
        let best = weighed.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or(&ALL[0], |(_, words)| words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_weighs_most() {
        for (accepted, tag) in [
            ("", "en"),
            ("de-AT", "de"),
            ("sv, de;q=0.8, fr;q=0.9", "fr"),
            ("PT-br,en;q=0.5", "pt"),
            ("de;q=0, *", "en"),
            ("de;q=x", "en"),
            ("nl,pl", "nl"),
            ("\u{0};;,,", "en"),
        ] {
            assert_eq!(Words::of(accepted).tag, tag, "{accepted}");
        }
    }
}
