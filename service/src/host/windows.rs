//! The Windows service: started by the service control manager (SCM), which is told at each step how far
//! it is, and which stops it.
//!
//! ```text
//! SCM -> dispatcher -> service_main: StartPending, checkpoints -> agent ready: Running
//!                      Stop, Preshutdown, Shutdown -> StopPending -> Stopped with its exit code
//!                      ParamChange -> configuration is read again
//! ```
//!
//! # Invariants
//! - Running is said when the spool is recovered and the control endpoint listens, not before.
//! - While it starts a checkpoint is told every few seconds, so that a store that is recovered does not
//!   look like a service that hangs.
//! - Everything is written and closed before Stopped is said: the process may end at that moment.
//!
//! On failure: Stopped with a service-specific exit code, the same as that of `agentd run`.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use candor_platform::{Layout, Message, open_event_log, report_event};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    ServiceControlHandlerResult, ServiceStatusHandle, register,
};
use windows_service::{define_windows_service, service_dispatcher};

use crate::agent::Prepared;
use crate::failure::{Failure, chain};
use crate::host::console::filter;
use crate::logging;
use crate::options::Run;

/// The service's name, as `agentctl service install` registers it.
const NAME: &str = "candor";
/// How long the SCM may wait for the next checkpoint.
const WAIT_HINT: Duration = Duration::from_secs(20);
/// Between two checkpoints while it starts.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// The dispatcher calls a plain function: what it needs lies here.
static OPTIONS: OnceLock<Run> = OnceLock::new();

define_windows_service!(entry_point, service_main);

/// Hands this process to the SCM; returns when the service has stopped.
///
/// # Errors
/// When it was not the SCM that started this process.
pub fn run(run: &Run) -> Result<(), Failure> {
    let _first = OPTIONS.set(run.clone());
    service_dispatcher::start(NAME, entry_point).map_err(|error| Failure::System {
        what: "the connection to the service control manager; use `agentd run` in a console",
        source: std::io::Error::other(error),
    })
}

fn service_main(_arguments: Vec<OsString>) {
    let Some(options) = OPTIONS.get() else { return };
    let (stop, stopped) = watch::channel(false);
    let (reload, reloads) = mpsc::channel(1);
    let handler = move |control| answer(control, &stop, &reload);
    let Ok(handle) = register(NAME, handler) else { return };
    open_event_log();
    let scm = Scm { handle, checkpoint: Arc::default() };
    scm.tell(ServiceState::StartPending, ServiceExitCode::NO_ERROR);
    let outcome = serve(options, &scm, stopped, reloads);
    let code = match &outcome {
        Ok(()) => {
            report_event(Message::Stopped, "the agent stopped in order");
            ServiceExitCode::NO_ERROR
        }
        Err(failure) => {
            tracing::error!(error = %failure, "the service ends");
            report_event(Message::Failed, &format!("the agent ends: {}", chain(failure)));
            ServiceExitCode::ServiceSpecific(failure.exit_code().into())
        }
    };
    scm.tell(ServiceState::Stopped, code);
}

/// What a control of the SCM does. A host that goes down is a stop like any other, only with less time.
fn answer(
    control: ServiceControl,
    stop: &watch::Sender<bool>,
    reload: &mpsc::Sender<()>,
) -> ServiceControlHandlerResult {
    match control {
        ServiceControl::Stop | ServiceControl::Preshutdown | ServiceControl::Shutdown => {
            stop.send_replace(true);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::ParamChange => {
            // A reload that is still waiting stands for this one, too.
            let _waits = reload.try_send(());
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    }
}

fn serve(
    options: &Run,
    scm: &Scm,
    mut stopped: watch::Receiver<bool>,
    reloads: mpsc::Receiver<()>,
) -> Result<(), Failure> {
    let prepared = Prepared::read(options)?;
    let config = prepared.config();
    // A service has no console: without `log.dir` it logs where the layout says.
    let dir = config
        .log
        .dir
        .clone()
        .unwrap_or_else(|| Layout::resolve(options.root.as_deref()).log_dir());
    let _log = logging::start(filter(config.log.level), Some(&dir));
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { what: "the runtime", source })?;
    let starting = scm.keep_starting();
    LocalSet::new().block_on(&runtime, async {
        let ready = || {
            starting.store(false, Ordering::Release);
            scm.tell(ServiceState::Running, ServiceExitCode::NO_ERROR);
            tracing::info!("ready");
            let version = env!("CARGO_PKG_VERSION");
            report_event(Message::Started, &format!("the agent {version} runs"));
        };
        let ended = async {
            // A sender that is gone means the same.
            let _gone = stopped.wait_for(|is_stopped| *is_stopped).await;
            scm.tell(ServiceState::StopPending, ServiceExitCode::NO_ERROR);
            tracing::info!("stopping on the service control manager's word");
        };
        let outcome = Box::pin(prepared.run(ready, ended, reloads)).await;
        starting.store(false, Ordering::Release);
        outcome
    })
}

/// The SCM, as this service speaks to it.
#[derive(Clone)]
struct Scm {
    handle: ServiceStatusHandle,
    checkpoint: Arc<AtomicU32>,
}

impl Scm {
    fn tell(&self, state: ServiceState, exit_code: ServiceExitCode) {
        let checkpoint = self.checkpoint.fetch_add(1, Ordering::Relaxed) + 1;
        let status = status(state, exit_code, checkpoint);
        if let Err(error) = self.handle.set_service_status(status) {
            tracing::warn!(%error, "the service control manager did not hear");
        }
    }

    /// Tells checkpoints until the flag that it returns is lowered.
    fn keep_starting(&self) -> Arc<AtomicBool> {
        let starting = Arc::new(AtomicBool::new(true));
        let (flag, scm) = (Arc::clone(&starting), self.clone());
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(CHECKPOINT);
                if !flag.load(Ordering::Acquire) {
                    return;
                }
                scm.tell(ServiceState::StartPending, ServiceExitCode::NO_ERROR);
            }
        });
        starting
    }
}

/// The status that the SCM is told; a checkpoint counts only while something is pending.
fn status(state: ServiceState, exit_code: ServiceExitCode, checkpoint: u32) -> ServiceStatus {
    let is_pending = matches!(state, ServiceState::StartPending | ServiceState::StopPending);
    ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: accepted(state),
        exit_code,
        checkpoint: if is_pending { checkpoint } else { 0 },
        wait_hint: if is_pending { WAIT_HINT } else { Duration::ZERO },
        process_id: None,
    }
}

/// Nothing can be asked of a service that starts or has stopped.
fn accepted(state: ServiceState) -> ServiceControlAccept {
    match state {
        ServiceState::Running => {
            ServiceControlAccept::STOP
                | ServiceControlAccept::PRESHUTDOWN
                | ServiceControlAccept::PARAM_CHANGE
        }
        _ => ServiceControlAccept::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_a_preshutdown_and_a_shutdown_stop_it_and_a_change_has_it_read_again() {
        for control in [ServiceControl::Stop, ServiceControl::Preshutdown, ServiceControl::Shutdown]
        {
            let (stop, stopped) = watch::channel(false);
            let (reload, mut reloads) = mpsc::channel(1);
            let result = answer(control, &stop, &reload);
            assert!(matches!(result, ServiceControlHandlerResult::NoError), "{control:?}");
            assert!(*stopped.borrow() && reloads.try_recv().is_err(), "{control:?}");
        }
        let (stop, stopped) = watch::channel(false);
        let (reload, mut reloads) = mpsc::channel(1);
        for _ in 0..2 {
            let result = answer(ServiceControl::ParamChange, &stop, &reload);
            assert!(matches!(result, ServiceControlHandlerResult::NoError));
        }
        let asked = answer(ServiceControl::Interrogate, &stop, &reload);
        assert!(matches!(asked, ServiceControlHandlerResult::NoError));
        assert!(reloads.try_recv().is_ok() && reloads.try_recv().is_err(), "once");
        assert!(!*stopped.borrow());
        let unknown = answer(ServiceControl::Pause, &stop, &reload);
        assert!(matches!(unknown, ServiceControlHandlerResult::NotImplemented));
    }

    #[test]
    fn only_what_is_pending_has_a_checkpoint_and_only_what_runs_takes_controls() {
        for state in [ServiceState::StartPending, ServiceState::StopPending] {
            let told = status(state, ServiceExitCode::NO_ERROR, 7);
            assert_eq!((told.checkpoint, told.wait_hint), (7, WAIT_HINT));
            assert!(told.controls_accepted.is_empty(), "{state:?}");
        }
        let runs = status(ServiceState::Running, ServiceExitCode::NO_ERROR, 7);
        assert_eq!((runs.checkpoint, runs.wait_hint), (0, Duration::ZERO));
        let wanted = ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN;
        assert!(runs.controls_accepted.contains(wanted));
        let ended = status(ServiceState::Stopped, ServiceExitCode::ServiceSpecific(78), 7);
        assert_eq!((ended.checkpoint, ended.exit_code), (0, ServiceExitCode::ServiceSpecific(78)));
        assert!(CHECKPOINT * 2 < WAIT_HINT, "one that comes late is no hang yet");
    }
}
