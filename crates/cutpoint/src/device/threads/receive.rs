//! The receiver of a connection: replies come in any order.

use crate::device::event::Event;
use crate::device::monitor::{Monitor, time_of};
use crate::device::options::TICK;
use crate::device::state::state::Returned;
use crate::link::{StreamReceiver, StreamReply, Waited};
use crate::tensor::Tensor;
use cutpoint_plan::plan::{Operation, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::JobId;

/// The receiver of connection number `connection`.
pub(crate) fn receive(monitor: &Monitor<'_>, connection: u32, mut receiver: StreamReceiver) {
    while monitor.ask(|state| state.is_in_use(connection)) {
        let cause = match receiver.recv_timeout(TICK) {
            Ok(Waited::Nothing) => continue,
            Ok(Waited::Reply(reply)) => {
                accept(monitor, connection, reply);
                monitor.report(Event::Changed);
                continue;
            }
            // As it should, once it has been told that nothing more will come, and owes nothing.
            Ok(Waited::Ended) if !monitor.ask(|state| state.is_in_use(connection)) => continue,
            Ok(Waited::Ended) => "the server ended the stream".to_owned(),
            Err(error) => error.to_string(),
        };
        let now = monitor.now();
        if monitor.tell(|state| state.lost(connection, &cause, now)) {
            log::warn!("{cause}; the device goes on without the server");
        }
    }
    monitor.report(Event::ThreadEnded);
    // Whoever waits for the sender's turn may go now.
    monitor.tell(|_| ());
}

fn accept(monitor: &Monitor<'_>, connection: u32, reply: StreamReply) {
    let id = match &reply {
        StreamReply::Done(reply) => &reply.id,
        StreamReply::Failed { id, .. } => id,
    };
    let id_of_job = id.parse().ok().map(JobId);
    if let (Some(job), StreamReply::Done(reply)) = (id_of_job, &reply) {
        let there = time_of(reply.queue + reply.compute);
        let at = monitor.at(reply.received).saturating_sub(there);
        monitor.report(Event::Arrived(job, connection, at));
    }
    let known = id_of_job.and_then(|id| Some((id, monitor.ask(|state| state.wanted(id))?)));
    let Some((id, job)) = known else {
        log::debug!("the server answered job {id:?}, which nobody waits for");
        return;
    };
    let refuse = |message: &str, received| {
        log::warn!("job {}: {message}; the device finishes it itself", id.0);
        let now = monitor.at(received);
        monitor.tell(|state| state.refused(id, message, now));
    };
    match reply {
        StreamReply::Done(reply) => {
            let outputs = match monitor.checks.take_outputs(&job, reply.outputs) {
                Ok(outputs) => outputs,
                Err(error) => return refuse(&error.to_string(), reply.received),
            };
            let now = monitor.at(reply.received);
            let over = now.saturating_sub(monitor.workload.link().round_trip.half());
            let back = on_downlink(monitor, &outputs);
            let end = over.saturating_sub(back.unwrap_or_default());
            let start = end.saturating_sub(time_of(reply.compute));
            let suffix = Operation { job: id, work: Work::Suffix, start, end };
            let work = Work::Download;
            let download = back.map(|_| Operation { job: id, work, start: end, end: over });
            let returned = Returned { suffix, download, outputs };
            monitor.tell(|state| state.replied(returned, now));
        }
        StreamReply::Failed { message, received, .. } => refuse(&message, received),
    }
}

/// What results take on the downlink, if that was measured and there are any.
fn on_downlink(monitor: &Monitor<'_>, outputs: &[(String, Tensor)]) -> Option<Time> {
    let downlink = monitor.workload.link().downlink.filter(|_| !outputs.is_empty())?;
    downlink.transfer_time(outputs.iter().map(|(_, tensor)| tensor.bytes().len() as u64).sum())
}
