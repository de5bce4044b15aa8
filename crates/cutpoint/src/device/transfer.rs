//! The two threads of a connection: tensors leave one at a time in the agenda's order, replies come
//! in any order.

use super::execute::{Event, TICK, Transferred};
use super::expected::Expected;
use super::shared::{Job, Returned, Shared};
use crate::encoding::Form;
use crate::error::{Error, ErrorKind, Result};
use crate::link::{InferRequest, Part, StreamReceiver, StreamReply, StreamSender, Waited};
use crate::tensor::Tensor;
use cutpoint_plan::plan::{Operation, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::JobId;
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

/// The sender of connection number `connection`. A plain server is sent all tensors of a job in one
/// message, in the place of the last.
pub(super) fn send(
    shared: &Shared<'_>,
    is_plain: bool,
    connection: u32,
    mut sender: StreamSender,
    events: &Sender<Event>,
) {
    let mut early = BTreeMap::new();
    while let Some((departure, job, form)) = shared.next_send(connection) {
        let id = departure.job;
        let mut request = match request(shared, departure, &job, form) {
            Ok(request) => request,
            Err(error) => {
                log::error!("job {}: {error:?}", id.0);
                shared.tell(|state| state.failed(id, error, events));
                continue;
            }
        };
        if is_plain {
            early.retain(|&job, _| shared.ask(|state| state.session.wants_reply(job)));
            if departure.part + 1 < departure.parts {
                early.entry(id).or_insert_with(Vec::new).append(&mut request.tensors);
                continue;
            }
            request.part = None;
            request.tensors.splice(0..0, early.remove(&id).unwrap_or_default());
        }
        let sum = |bytes: fn(&Form) -> usize| -> u64 {
            request.tensors.iter().map(|(_, form)| bytes(form) as u64).sum()
        };
        let (raw, sent) = (sum(Form::raw_bytes), sum(|form| form.bytes().len()));
        if is_plain && let Err(error) = make_plain(&mut request.tensors) {
            log::error!("job {}: {error:?}", id.0);
            shared.tell(|state| state.failed(id, error, events));
            continue;
        }
        match sender.send(&request) {
            Ok(passed) => {
                let (start, end) = (shared.at(passed.start), shared.at(passed.end));
                let work = Work::Transfer(departure.tensor);
                let operation = Operation { job: id, work, start, end };
                let transferred = Transferred { operation, connection, raw, sent };
                let _ = events.send(Event::Transferred(transferred));
                if departure.part + 1 == departure.parts {
                    shared.tell(|state| state.session.handle_sent(id, end));
                    let _ = events.send(Event::Changed);
                }
            }
            Err(error) => {
                let now = shared.now();
                // A run that is given up has closed the stream on purpose.
                if shared.tell(|state| state.lost(connection, &error.to_string(), now)) {
                    log::warn!("{error:?}; the device goes on without the server");
                }
                break;
            }
        }
    }
    let _ = events.send(Event::ThreadEnded);
}

/// Puts tensors of the protocol's own types in the place of those in encodings.
fn make_plain(tensors: &mut Vec<(String, Form)>) -> Result<()> {
    let mut plain = Vec::with_capacity(tensors.len());
    for (name, form) in tensors.drain(..) {
        let parts = match &form {
            Form::Raw(_) => None,
            Form::Encoded(encoded) => encoded.plain(&name)?,
        };
        match parts {
            Some(parts) => plain.extend(parts.into_iter().map(|(n, tensor)| (n, tensor.into()))),
            None => plain.push((name, form)),
        }
    }
    *tensors = plain;
    Ok(())
}

/// The message for one tensor.
fn request(
    shared: &Shared<'_>,
    departure: super::program::Send,
    job: &Job,
    form: Option<Form>,
) -> Result<InferRequest> {
    let name = &shared.model(job).tensors[departure.tensor.index()].name;
    let missing = |what: &str| Error::new(ErrorKind::Input, what).at(name);
    let value = match form {
        Some(form) => form,
        None => match shared.inputs(departure.job, job)?.get(name) {
            Some(input) => input.tensor()?.clone().into(),
            None => return Err(missing("it is to be sent, and not there")),
        },
    };
    let suffix =
        job.suffix.as_deref().ok_or_else(|| missing("no suffix on the server takes it"))?;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let part = (departure.parts > 1)
        .then(|| Part { index: number(departure.part), count: number(departure.parts) });
    Ok(InferRequest {
        model: suffix.to_owned(),
        id: departure.job.0.to_string(),
        part,
        tensors: vec![(name.clone(), value)],
    })
}

/// The receiver of connection number `connection`.
pub(super) fn receive(
    shared: &Shared<'_>,
    expected: &Expected<'_>,
    connection: u32,
    mut receiver: StreamReceiver,
    round_trip: Time,
    events: &Sender<Event>,
) {
    while shared.ask(|state| state.is_in_use(connection)) {
        let cause = match receiver.recv_timeout(TICK) {
            Ok(Waited::Nothing) => continue,
            Ok(Waited::Reply(reply)) => {
                if let StreamReply::Done(reply) = &reply
                    && let Ok(id) = reply.id.parse()
                {
                    let there = reply.queue + reply.compute;
                    let there = u64::try_from(there.as_nanos()).unwrap_or(u64::MAX);
                    let at = shared.at(reply.received);
                    let at = at.saturating_sub(Time::from_nanoseconds(there));
                    let _ = events.send(Event::Arrived(JobId(id), connection, at));
                }
                accept(shared, expected, reply, round_trip, events);
                let _ = events.send(Event::Changed);
                continue;
            }
            // As it should, once it has been told that nothing more will come, and owes nothing.
            Ok(Waited::Ended) if !shared.ask(|state| state.is_in_use(connection)) => continue,
            Ok(Waited::Ended) => "the server ended the stream".to_owned(),
            Err(error) => error.to_string(),
        };
        let now = shared.now();
        if shared.tell(|state| state.lost(connection, &cause, now)) {
            log::warn!("{cause}; the device goes on without the server");
        }
    }
    let _ = events.send(Event::ThreadEnded);
    // Whoever waits for the sender's turn may go now.
    shared.tell(|_| ());
}

fn accept(
    shared: &Shared<'_>,
    expected: &Expected<'_>,
    reply: StreamReply,
    round_trip: Time,
    events: &Sender<Event>,
) {
    let id = match &reply {
        StreamReply::Done(reply) => &reply.id,
        StreamReply::Failed { id, .. } => id,
    };
    let known = id.parse().ok().map(JobId);
    let known = known.and_then(|id| Some((id, shared.ask(|state| state.wanted(id))?)));
    let Some((id, job)) = known else {
        log::debug!("the server answered job {id:?}, which nobody waits for");
        return;
    };
    let refuse = |message: &str, received| {
        log::warn!("job {}: {message}; the device finishes it itself", id.0);
        let now = shared.at(received);
        shared.tell(|state| state.refused(id, message, now));
    };
    match reply {
        StreamReply::Done(reply) => {
            let outputs = match expected.take_outputs(&job, reply.outputs) {
                Ok(outputs) => outputs,
                Err(error) => return refuse(&error.to_string(), reply.received),
            };
            let now = shared.at(reply.received);
            let busy = u64::try_from(reply.compute.as_nanos()).unwrap_or(u64::MAX);
            let over = now.saturating_sub(round_trip.half());
            let back = on_downlink(shared, &outputs);
            let end = over.saturating_sub(back.unwrap_or_default());
            let start = end.saturating_sub(Time::from_nanoseconds(busy));
            let suffix = Operation { job: id, work: Work::Suffix, start, end };
            let work = Work::Download;
            let download = back.map(|_| Operation { job: id, work, start: end, end: over });
            let returned = Returned { suffix, download, outputs };
            shared.tell(|state| state.replied(returned, now, events));
        }
        StreamReply::Failed { message, received, .. } => refuse(&message, received),
    }
}

/// What results take on the downlink, if that was measured and there are any.
fn on_downlink(shared: &Shared<'_>, outputs: &[(String, Tensor)]) -> Option<Time> {
    let downlink = shared.workload.link.downlink.filter(|_| !outputs.is_empty())?;
    downlink.transfer_time(outputs.iter().map(|(_, tensor)| tensor.bytes().len() as u64).sum())
}
