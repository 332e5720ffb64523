//! What the common columns say, in the languages of declarations: every dataset has them, no declaration repeats them.

use std::sync::LazyLock;

use crate::common;
use crate::texts::Texts;

/// One common column.
#[derive(Debug)]
pub struct CommonColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type, in the words of declarations.
    pub type_name: &'static str,
    /// Whether every row has a value.
    pub required: bool,
    description: Texts,
}

impl CommonColumn {
    /// Returns what it says.
    pub fn description(&self) -> &Texts {
        &self.description
    }
}

/// The common columns in the order of a row.
pub static ALL: LazyLock<Vec<CommonColumn>> = LazyLock::new(|| {
    let column = |name, type_name, required, nl: &str, en: &str, fr: &str| CommonColumn {
        name,
        type_name,
        required,
        description: Texts {
            nl: nl.into(),
            en: en.into(),
            fr: fr.into(),
        },
    };
    vec![
        column(
            common::QUALITY,
            "int",
            true,
            "Kwaliteit (QARTOD): 1 goed, 2 niet getoetst, 3 twijfelachtig, 4 fout, 9 ontbreekt.",
            "Quality (QARTOD): 1 pass, 2 not evaluated, 3 suspect, 4 fail, 9 missing.",
            "Qualité (QARTOD) : 1 bonne, 2 non évaluée, 3 douteuse, 4 mauvaise, 9 manquante.",
        ),
        column(
            common::QUALITY_TESTS,
            "int",
            true,
            "Bits van de kwaliteitstoetsen die niet slaagden.",
            "Bits of the quality tests that did not pass.",
            "Bits des contrôles de qualité qui ont échoué.",
        ),
        column(
            common::SOURCE,
            "text",
            true,
            "De bron waarlangs de rij binnenkwam.",
            "The source that the row came in by.",
            "La source par laquelle la ligne est arrivée.",
        ),
        column(
            common::LICENCE,
            "text",
            true,
            "De licentie van de rij.",
            "The licence of the row.",
            "La licence de la ligne.",
        ),
        column(
            common::RECEIVED_AT,
            "timestamp",
            true,
            "Wanneer het bericht ontvangen is (UTC).",
            "When the message was received (UTC).",
            "Quand le message a été reçu (UTC).",
        ),
        column(
            common::RECORDED_AT,
            "timestamp",
            false,
            "Wanneer de rij is vastgelegd (UTC); leeg betekent: bij ontvangst.",
            "When the row was recorded (UTC); null means: when it was received.",
            "Quand la ligne a été enregistrée (UTC) ; vide : à la réception.",
        ),
        column(
            common::SUPERSEDED_AT,
            "timestamp",
            false,
            "Wanneer een latere waarde de rij verving (UTC); leeg zolang ze geldt.",
            "When a later value replaced the row (UTC); null while it is current.",
            "Quand une valeur ultérieure a remplacé la ligne (UTC) ; vide tant qu’elle est valable.",
        ),
        column(
            common::REVISION,
            "int",
            true,
            "Volgnummer van de versie van deze sleutel, 0 eerst.",
            "Number of the version of this key, 0 first.",
            "Numéro de version de cette clé, 0 en premier.",
        ),
    ]
});
