//! The sender of a connection: tensors leave one at a time in the agenda's order.

use crate::device::event::{Event, Transferred};
use crate::device::job::Job;
use crate::device::monitor::Monitor;
use crate::device::program;
use crate::encoding::Form;
use crate::error::{Error, ErrorKind, Result};
use crate::link::{InferRequest, Part, StreamSender};
use cutpoint_plan::plan::{Operation, Work};
use std::collections::BTreeMap;

/// The sender of connection number `connection`. A plain server is sent all tensors of a job in one
/// message, in the place of the last.
pub(crate) fn send(
    monitor: &Monitor<'_>,
    is_plain: bool,
    connection: u32,
    mut sender: StreamSender,
) {
    let mut early = BTreeMap::new();
    while let Some((departure, job, form)) = monitor.next_send(connection) {
        let id = departure.job;
        let fail = |error: Error| {
            log::error!("job {}: {error:?}", id.0);
            monitor.tell(|state| state.drop_job(id, Event::Failed(id, error)));
        };
        let mut request = match request(monitor, departure, &job, form) {
            Ok(request) => request,
            Err(error) => {
                fail(error);
                continue;
            }
        };
        if is_plain {
            early.retain(|&job, _| monitor.ask(|state| state.jobs.wants_reply(job)));
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
            fail(error);
            continue;
        }
        match sender.send(&request) {
            Ok(passed) => {
                let (start, end) = (monitor.at(passed.start), monitor.at(passed.end));
                let work = Work::Transfer(departure.tensor);
                let operation = Operation { job: id, work, start, end };
                let transferred = Transferred { operation, connection, raw, sent };
                monitor.report(Event::Transferred(transferred));
                if departure.part + 1 == departure.parts {
                    monitor.tell(|state| state.jobs.handle_sent(id, end));
                    monitor.report(Event::Changed);
                }
            }
            Err(error) => {
                let now = monitor.now();
                // A run that is given up has closed the stream on purpose.
                if monitor.tell(|state| state.lost(connection, &error.to_string(), now)) {
                    log::warn!("{error:?}; the device goes on without the server");
                }
                break;
            }
        }
    }
    monitor.report(Event::ThreadEnded);
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
    monitor: &Monitor<'_>,
    departure: program::Send,
    job: &Job,
    form: Option<Form>,
) -> Result<InferRequest> {
    let name = &monitor.model(job).tensors[departure.tensor.index()].name;
    let missing = |what: &str| Error::new(ErrorKind::Input, what).at(name);
    let value = match form {
        Some(form) => form,
        None => match monitor.inputs(job)?.get(name) {
            Some(input) => input.tensor()?.clone().into(),
            None => return Err(missing("the tensor to send is missing")),
        },
    };
    let suffix = job
        .program
        .suffix
        .as_deref()
        .ok_or_else(|| missing("no suffix on the server reads this tensor"))?;
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
