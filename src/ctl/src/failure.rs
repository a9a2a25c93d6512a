//! Why a command did not do what was asked, with the contract's exit code.

use candor_control::ClientError;

/// A failure with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    exit_code: u8,
}

/// The exit codes of the contract; 69, no daemon, is the client's to give.
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const REFUSED: u8 = 3;
pub(crate) const NOT_PERMITTED: u8 = 4;
pub(crate) const BAD_CONFIGURATION: u8 = 78;

impl Failure {
    /// This message, this code.
    pub(crate) fn new(exit_code: u8, message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code }
    }

    /// Something that the system refused.
    pub(crate) fn system(what: &str, error: impl std::error::Error) -> Self {
        Self::new(FAILED, format!("cannot {what}: {}", chain(&error)))
    }

    pub(crate) fn text(&self) -> &str {
        &self.message
    }

    pub(crate) const fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = match &error {
            ClientError::Refused(refusal) => match &refusal.remedy {
                Some(remedy) => format!("{refusal}; {remedy}"),
                None => refusal.to_string(),
            },
            ClientError::NoDaemon { .. } => {
                format!("{error}; start it with `agentd run`, or name its --root")
            }
            _ => chain(&error),
        };
        Self::new(error.exit_code(), message)
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
