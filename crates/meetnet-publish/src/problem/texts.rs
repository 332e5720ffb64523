//! The words of problems in Dutch, English and French, for the pages that readers get. Programs are told in English alone: what each
//! kind says there stands with the kinds.

use super::ProblemKind;
use crate::negotiate::Language;

/// What is said of a kind of problem in one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) title: &'static str,
    /// Why requests end so.
    pub(super) reason: &'static str,
    /// What to do.
    pub(super) advice: &'static str,
}

impl Said {
    /// Returns what is said of a kind in a language.
    pub(super) fn of(kind: ProblemKind, language: Language) -> Self {
        let [title, reason, advice] = match language {
            Language::Nl => dutch(kind),
            Language::En => [kind.title(), kind.reason(), kind.advice()],
            Language::Fr => french(kind),
        };
        Self {
            title,
            reason,
            advice,
        }
    }
}

/// Returns title, reason and advice in Dutch.
fn dutch(kind: ProblemKind) -> [&'static str; 3] {
    match kind {
        ProblemKind::BadRequest => [
            "De vraag is niet te begrijpen",
            "Een parameter, de vraag in SQL of de inhoud heeft niet de vorm die dit adres leest: de melding noemt welke, en wat het \
             wel aanneemt.",
            "Verbeter de vraag zoals de melding zegt.",
        ],
        ProblemKind::Unauthorized => [
            "De API-sleutel is niet bekend",
            "De vraag draagt een API-sleutel die deze dienst niet kent: verkeerd getypt, of ingetrokken.",
            "Verbeter de sleutel achter Authorization: Bearer, of laat de header weg: de gegevens zijn open, een sleutel heeft \
             alleen eigen grenzen.",
        ],
        ProblemKind::Forbidden => [
            "Dat mag hier niet",
            "De vraag doet meer dan openbare datasets lezen.",
            "De open dienst leest alleen openbare datasets, met één SELECT tegelijk.",
        ],
        ProblemKind::NotFound => [
            "Dit bestaat hier niet",
            "Geen adres, dataset, tabel, kolom of bestand heet hier zo. Een dataset die niet openbaar is, krijgt hetzelfde antwoord \
             als een die er niet is.",
            "/api/v1/datasets noemt wat er is.",
        ],
        ProblemKind::Gone => [
            "Dit is er niet meer",
            "Het was een bestand van de dataset: intussen samengevoegd tot een nieuwer, voorbij zijn bewaartermijn, of met iets erin \
             dat gewist is.",
            "De rijen staan in nieuwere bestanden: de pagina van de dataset noemt ze. Wat gewist is, komt niet terug.",
        ],
        ProblemKind::MethodNotAllowed => [
            "Dit adres kent die methode niet",
            "Het adres is er, maar antwoordt op andere methodes: deze dienst laat gegevens lezen, nooit schrijven.",
            "De header Allow noemt de methodes van het adres.",
        ],
        ProblemKind::NotAcceptable => [
            "Er is geen antwoord in een formaat dat u aanneemt",
            "De header Accept noemt geen formaat dat dit adres heeft.",
            "Vraag een van de formaten die in het antwoord staan, of laat Accept weg.",
        ],
        ProblemKind::RequestTimeout => [
            "De vraag is niet op tijd aangekomen",
            "De inhoud was niet volledig binnen de tijd die ze mag nemen.",
            "Verstuur de hele vraag in één keer.",
        ],
        ProblemKind::TooLarge => [
            "Een grens is overschreden",
            "De inhoud van de vraag, of het antwoord erop, gaat voorbij een grens van de dienst: de melding noemt welke.",
            "Vraag minder tegelijk: een kortere periode, minder kolommen, een samenvatting, een LIMIT.",
        ],
        ProblemKind::PreconditionFailed => [
            "Het bestand heeft een andere inhoud",
            "De header If-Match noemt een andere inhoud dan het bestand heeft; zolang een bestand er is, houdt het zijn inhoud.",
            "Vergelijk de hash in If-Match met die in /api/v1/datasets/{id}/files, of laat de header weg.",
        ],
        ProblemKind::RangeNotSatisfiable => [
            "Het bestand heeft die bytes niet",
            "De header Range begint voorbij de laatste byte van het bestand.",
            "Content-Range zegt hoe lang het bestand is.",
        ],
        ProblemKind::UnsupportedMediaType => [
            "De inhoud heeft een type dat hier niet gelezen wordt",
            "Uit een inhoud van dit Content-Type wordt geen vraag gelezen.",
            "Verstuur application/x-www-form-urlencoded, application/json, application/sql of text/plain.",
        ],
        ProblemKind::NotSettled => [
            "Voor dat tijdstip kunnen nog berichten aankomen",
            "Berichten van vóór het gevraagde tijdstip kunnen nog aankomen; het antwoord zou later anders kunnen zijn.",
            "Vraag een tijdstip tot en met stable_time, dat in de melding en in elk antwoord staat. Het schuift binnen seconden op: \
             wat later kan dezelfde vraag wel.",
        ],
        ProblemKind::QueryTooExpensive => [
            "De vraag duurde langer dan een vraag mag duren",
            "De tijd die één vraag mag gebruiken, was op voordat ze beantwoord was.",
            "Dezelfde vraag duurt allicht weer zo lang. Vraag een kortere periode (WHERE time >= …) of een samenvatting, of \
             download de bestanden van de dataset.",
        ],
        ProblemKind::Busy => [
            "Er lopen of wachten te veel vragen",
            "Er lopen en wachten zoveel vragen van iedereen samen als de dienst tegelijk aanneemt.",
            "Stel dezelfde vraag over enkele seconden opnieuw.",
        ],
        ProblemKind::OverShare => [
            "Er lopen of wachten te veel van uw vragen",
            "Er lopen en wachten zoveel vragen van deze klant als één klant er mag hebben.",
            "Wacht tot een van uw vragen beantwoord is: RateLimit zegt hoeveel er lopen. Anderen worden intussen bediend. Alle \
             adressen van een netwerk zijn samen één klant. Het datateam geeft sleutels met eigen grenzen.",
        ],
        ProblemKind::ClientMemory => [
            "Uw vragen en ongelezen antwoorden nemen al het geheugen van één klant in",
            "Waarmee de vragen van deze klant bezig zijn, en wat hij van hun antwoorden nog niet gelezen heeft, vult het geheugen \
             dat één klant mag hebben.",
            "Lees de gevraagde antwoorden tot het einde of sluit ze, en stel minder grote vragen tegelijk. Een vraag die zelf minder \
             nodig heeft, beperkt de periode (WHERE time >= …) of groepeert op minder sleutels. Het datateam geeft sleutels met \
             eigen grenzen.",
        ],
        ProblemKind::ClientTemporaryFiles => [
            "Uw vragen nemen alle tijdelijke bestanden van één klant in",
            "Vragen van deze klant die sorteren of groeperen, vullen de tijdelijke bestanden die één klant mag hebben.",
            "Wacht tot een van uw vragen beantwoord is, en stel minder vragen tegelijk die veel sorteren of groeperen. Het datateam \
             geeft sleutels met eigen grenzen.",
        ],
        ProblemKind::Connections => [
            "U hebt hier te veel verbindingen open",
            "Er staan zoveel verbindingen van deze klant open als één klant er mag hebben.",
            "Sluit verbindingen die u niet nodig hebt, of stel de vragen na elkaar over de verbindingen die er zijn: alle adressen van \
             een netwerk zijn samen één klant. Een reverse proxy vóór deze dienst hoort in zijn trusted_proxies.",
        ],
        ProblemKind::ServiceMemory => [
            "Vragen van iedereen nemen al het geheugen in dat er is",
            "De vragen van alle klanten samen houden al het geheugen vast dat er voor vragen is.",
            "Uw vraag blijft binnen haar eigen grenzen, maar andere staan in de weg: stel ze opnieuw na de seconden in Retry-After. \
             Een vraag die minder nodig heeft, komt eerder aan de beurt.",
        ],
        ProblemKind::ServiceTemporaryFiles => [
            "Vragen van iedereen nemen alle ruimte voor tijdelijke bestanden in",
            "De vragen van alle klanten samen hebben de ruimte gevuld die er voor tijdelijke bestanden is.",
            "Uw vraag blijft binnen haar eigen grenzen, maar andere staan in de weg: stel ze opnieuw na de seconden in Retry-After. \
             Een vraag die minder nodig heeft, komt eerder aan de beurt.",
        ],
        ProblemKind::NewestRows => [
            "De nieuwste rijen zijn nog niet gelezen",
            "De nieuwste rij van elke reeks blijft in het geheugen. Ze wordt opnieuw gelezen, of dat lezen is net mislukt.",
            "Ze worden na een start of een storing één keer voor iedereen gelezen: stel dezelfde vraag opnieuw na de seconden in \
             Retry-After.",
        ],
        ProblemKind::SnapshotExpired => [
            "De gegevens zijn tijdens de vraag herschikt",
            "Bestanden die de vraag las, werden intussen tot andere samengevoegd, en die waar ze toen naar overging ook.",
            "Stel dezelfde vraag opnieuw.",
        ],
        ProblemKind::StoreUnavailable => [
            "De opslag van de gegevens antwoordt niet",
            "De bestanden van de tabellen staan in een objectopslag, en die gaf niet wat de vraag nodig heeft. Wat geen bestand nodig \
             heeft, wordt beantwoord.",
            "Stel dezelfde vraag opnieuw na de seconden in Retry-After; blijft het zo, meld het dan het datateam.",
        ],
        ProblemKind::Internal => [
            "Er ging bij ons iets mis",
            "De vraag stootte op een fout in de dienst, of op een beschadigd bestand. Het logboek van de dienst zegt meer.",
            "Probeer het later opnieuw; blijft het zo, meld het datateam dan het tijdstip en de vraag.",
        ],
    }
}

/// Returns title, reason and advice in French.
fn french(kind: ProblemKind) -> [&'static str; 3] {
    match kind {
        ProblemKind::BadRequest => [
            "La demande n’est pas compréhensible",
            "Un paramètre, la requête SQL ou le corps n’a pas la forme que cette adresse lit : le message dit lequel, et ce qui est \
             accepté.",
            "Corrigez la demande comme le dit le message.",
        ],
        ProblemKind::Unauthorized => [
            "La clé d’API n’est pas connue",
            "La demande porte une clé d’API que ce service ne connaît pas : mal tapée, ou révoquée.",
            "Corrigez la clé derrière Authorization: Bearer, ou omettez l’en-tête : les données sont ouvertes, une clé n’apporte que \
             ses propres limites.",
        ],
        ProblemKind::Forbidden => [
            "Cela n’est pas permis ici",
            "La demande fait plus que lire des jeux de données publics.",
            "Le service public ne lit que des jeux de données publics, un SELECT à la fois.",
        ],
        ProblemKind::NotFound => [
            "Cela n’existe pas ici",
            "Aucune adresse, aucun jeu de données, aucune table, aucune colonne ni aucun fichier ne porte ce nom ici. Un jeu de \
             données qui n’est pas public reçoit la même réponse qu’un jeu qui n’existe pas.",
            "/api/v1/datasets dit ce qu’il y a.",
        ],
        ProblemKind::Gone => [
            "Cela n’est plus là",
            "C’était un fichier du jeu de données : fusionné depuis dans un fichier plus récent, arrivé au bout de sa durée de \
             conservation, ou contenant quelque chose qui a été effacé.",
            "Les lignes sont dans des fichiers plus récents : la page du jeu de données les nomme. Ce qui a été effacé ne \
             revient pas.",
        ],
        ProblemKind::MethodNotAllowed => [
            "Cette adresse ne connaît pas cette méthode",
            "L’adresse existe, mais répond à d’autres méthodes : ce service donne des données à lire, jamais à écrire.",
            "L’en-tête Allow énumère les méthodes de l’adresse.",
        ],
        ProblemKind::NotAcceptable => [
            "Il n’y a pas de réponse dans un format que vous acceptez",
            "L’en-tête Accept ne nomme aucun format que cette adresse possède.",
            "Demandez un des formats énumérés dans la réponse, ou omettez Accept.",
        ],
        ProblemKind::RequestTimeout => [
            "La demande n’est pas arrivée à temps",
            "Le corps n’était pas complet dans le temps qu’il peut prendre.",
            "Envoyez toute la demande en une fois.",
        ],
        ProblemKind::TooLarge => [
            "Une limite est dépassée",
            "Le corps de la demande, ou la réponse, dépasse une limite du service : le message dit laquelle.",
            "Demandez moins à la fois : une période plus courte, moins de colonnes, un agrégat, un LIMIT.",
        ],
        ProblemKind::PreconditionFailed => [
            "Le fichier a un autre contenu",
            "L’en-tête If-Match nomme un autre contenu que celui du fichier ; un fichier garde son contenu tant qu’il existe.",
            "Comparez l’empreinte dans If-Match avec celle de /api/v1/datasets/{id}/files, ou omettez l’en-tête.",
        ],
        ProblemKind::RangeNotSatisfiable => [
            "Le fichier n’a pas ces octets",
            "L’en-tête Range commence après le dernier octet du fichier.",
            "Content-Range dit la longueur du fichier.",
        ],
        ProblemKind::UnsupportedMediaType => [
            "Le corps est d’un type qui n’est pas lu ici",
            "Aucune requête n’est lue dans un corps de ce Content-Type.",
            "Envoyez application/x-www-form-urlencoded, application/json, application/sql ou text/plain.",
        ],
        ProblemKind::NotSettled => [
            "Des messages peuvent encore arriver pour ce moment",
            "Des messages d’avant le moment demandé peuvent encore arriver ; la réponse pourrait être différente plus tard.",
            "Demandez un moment jusqu’à stable_time, que nomment le message et chaque réponse. Il avance en quelques secondes : la \
             même demande peut réussir un peu plus tard.",
        ],
        ProblemKind::QueryTooExpensive => [
            "La demande a duré plus longtemps que permis",
            "Le temps qu’une demande peut prendre était écoulé avant qu’elle soit terminée.",
            "La même demande durerait sans doute aussi longtemps. Demandez une période plus courte (WHERE time >= …) ou un \
             agrégat, ou téléchargez les fichiers du jeu de données.",
        ],
        ProblemKind::Busy => [
            "Trop de demandes sont en cours ou en attente",
            "Il y a autant de demandes de tous les clients en cours et en attente que le service en prend à la fois.",
            "Posez la même question dans quelques secondes.",
        ],
        ProblemKind::OverShare => [
            "Trop de vos demandes sont en cours ou en attente",
            "Il y a autant de demandes de ce client en cours et en attente qu’un client peut en avoir.",
            "Attendez qu’une de vos demandes soit terminée : RateLimit dit combien sont en cours. Les autres clients sont servis \
             entre-temps. Toutes les adresses d’un réseau ne font qu’un client. L’équipe des données donne des clés avec leurs \
             propres limites.",
        ],
        ProblemKind::ClientMemory => [
            "Vos demandes et vos réponses non lues occupent toute la mémoire d’un client",
            "Ce que les demandes de ce client traitent, et ce qu’il n’a pas encore lu de leurs réponses, remplit la mémoire qu’un \
             client peut avoir.",
            "Lisez jusqu’au bout les réponses demandées ou fermez-les, et envoyez moins de grandes demandes à la fois. Une demande \
             qui a besoin de moins limite la période (WHERE time >= …) ou groupe par moins de clés. L’équipe des données donne des \
             clés avec leurs propres limites.",
        ],
        ProblemKind::ClientTemporaryFiles => [
            "Vos demandes occupent tous les fichiers temporaires d’un client",
            "Des demandes de ce client qui trient ou groupent ont rempli les fichiers temporaires qu’un client peut avoir.",
            "Attendez qu’une de vos demandes soit terminée, et envoyez moins de demandes qui trient ou groupent beaucoup à la fois. \
             L’équipe des données donne des clés avec leurs propres limites.",
        ],
        ProblemKind::Connections => [
            "Vous avez trop de connexions ouvertes ici",
            "Il y a autant de connexions de ce client ouvertes qu’un client peut en avoir.",
            "Fermez les connexions dont vous n’avez pas besoin, ou envoyez les demandes l’une après l’autre par celles qui sont \
             ouvertes : toutes les adresses d’un réseau ne font qu’un client. Un proxy inverse devant ce service a sa place dans \
             ses trusted_proxies.",
        ],
        ProblemKind::ServiceMemory => [
            "Les demandes de tous les clients occupent toute la mémoire disponible",
            "Les demandes de tous les clients ensemble tiennent toute la mémoire qu’il y a pour elles.",
            "Votre demande reste dans ses propres limites, mais d’autres lui barrent la route : renvoyez-la après les secondes dans \
             Retry-After. Une demande qui a besoin de moins passe plus tôt.",
        ],
        ProblemKind::ServiceTemporaryFiles => [
            "Les demandes de tous les clients occupent toute la place des fichiers temporaires",
            "Les demandes de tous les clients ensemble ont rempli la place qu’il y a pour des fichiers temporaires.",
            "Votre demande reste dans ses propres limites, mais d’autres lui barrent la route : renvoyez-la après les secondes dans \
             Retry-After. Une demande qui a besoin de moins passe plus tôt.",
        ],
        ProblemKind::NewestRows => [
            "Les lignes les plus récentes ne sont pas encore lues",
            "La ligne la plus récente de chaque série est gardée en mémoire. Elle est en train d’être relue, ou sa lecture \
             vient d’échouer.",
            "Elles sont lues une fois pour tout le monde, après un démarrage ou une panne : renvoyez la même demande après les \
             secondes dans Retry-After.",
        ],
        ProblemKind::SnapshotExpired => [
            "Les données ont été réorganisées pendant la demande",
            "Des fichiers que la demande lisait ont été fusionnés entre-temps, et ceux vers lesquels elle s’est alors tournée aussi.",
            "Renvoyez la même demande.",
        ],
        ProblemKind::StoreUnavailable => [
            "Le stockage des données ne répond pas",
            "Les fichiers des tables se trouvent dans un stockage d’objets, qui n’a pas donné ceux dont la demande a besoin. Ce qui ne \
             demande aucun fichier reçoit une réponse.",
            "Renvoyez la même demande après les secondes dans Retry-After ; si cela persiste, prévenez l’équipe des données.",
        ],
        ProblemKind::Internal => [
            "Quelque chose a mal tourné chez nous",
            "La demande a rencontré un défaut du service, ou un fichier endommagé. Le journal du service en dit plus.",
            "Réessayez plus tard ; si cela persiste, signalez l’heure et la demande à l’équipe des données.",
        ],
    }
}

#[cfg(test)]
mod tests;
