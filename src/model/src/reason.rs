//! Why a record was dropped: the one place where a reason, its meaning and its remedy are spelled.

/// Why a record that was generated will not be uploaded. Every removal names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The spool was at its cap and the least valuable level's oldest went.
    SpoolFull,
    /// Older than `spool.max_age`.
    Expired,
    /// The receiver refused it for good.
    Rejected,
    /// Damaged on the medium.
    Corrupt,
    /// The owner lowered the level.
    Withdrawn,
    /// The owner disabled upload.
    Disabled,
    /// The owner deleted it.
    Deleted,
    /// Too large to be kept or sent at all.
    Oversize,
}

impl DropReason {
    /// Every reason, in the order in which reports list them.
    pub const ALL: [Self; 8] = [
        Self::SpoolFull,
        Self::Expired,
        Self::Rejected,
        Self::Corrupt,
        Self::Withdrawn,
        Self::Disabled,
        Self::Deleted,
        Self::Oversize,
    ];

    /// The word in the ledger, in JSON and in the documentation.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SpoolFull => "spool_full",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Corrupt => "corrupt",
            Self::Withdrawn => "withdrawn",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::Oversize => "oversize",
        }
    }

    /// The reason of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }

    /// What happened, in a sentence for a person.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::SpoolFull => {
                "the spool reached its cap; the least valuable level's oldest records went first"
            }
            Self::Expired => "the record waited longer than spool.max_age",
            Self::Rejected => "the receiver refused the record for good",
            Self::Corrupt => "the medium damaged the record; its checksum no longer matched",
            Self::Withdrawn => "the level was lowered and the record stood above the new one",
            Self::Disabled => "telemetry was disabled while the record waited",
            Self::Deleted => "the owner deleted what was kept here",
            Self::Oversize => "the record was larger than one row or one request may be",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::SpoolFull => "restore the connection to the endpoint, or raise spool.max_bytes",
            Self::Expired => "restore the connection to the endpoint, or raise spool.max_age",
            Self::Rejected => {
                "read the receiver's words in `agentctl status` and mend the receiver"
            }
            Self::Corrupt => "check the disk under the state directory",
            Self::Withdrawn | Self::Disabled | Self::Deleted => "nothing: the owner asked for it",
            Self::Oversize => "nothing on this host; report the event that grew so large",
        }
    }

    /// Whether the owner took the record back. Such records count in neither percentage.
    #[must_use]
    pub const fn is_owners_choice(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Disabled | Self::Deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_from_its_word() {
        for reason in DropReason::ALL {
            assert_eq!(DropReason::from_word(reason.word()), Some(reason));
        }
        assert_eq!(DropReason::from_word("lost"), None);
    }
}
