//! Where the jobs of a plan run, and what that says to do.

use cutpoint_plan::plan::Plan;
use cutpoint_plan::units::count;
use cutpoint_plan::workload::Workload;

/// Where the jobs of a plan run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub on_device: usize,
    pub on_server: usize,
    pub cut: usize,
}

impl Places {
    pub(super) fn of(workload: &Workload, plan: &Plan) -> Places {
        let mut places = Places::default();
        for (j, partition) in plan.partitions.iter().enumerate() {
            let layers = workload.models()[workload.jobs()[j].index()].layers.len();
            let place = match partition.device_layers.count() {
                kept if kept == layers => &mut places.on_device,
                0 => &mut places.on_server,
                _ => &mut places.cut,
            };
            *place += 1;
        }
        places
    }

    /// The advice in one sentence.
    pub(super) fn advice(self) -> String {
        let Places { on_device, on_server, cut } = self;
        match (on_device, on_server, cut) {
            (0, 0, 0) => "There is nothing to do".to_owned(),
            (1, 0, 0) => "Do not split: keep the job on the device".to_owned(),
            (_, 0, 0) => "Do not split: keep every job on the device".to_owned(),
            (0, 1, 0) => "Do not split: send the job to the server".to_owned(),
            (0, _, 0) => "Do not split: send every job to the server".to_owned(),
            (_, _, 0) => {
                let kept = count(on_device, "job");
                format!("Do not split: keep {kept} on the device, send {on_server} to the server")
            }
            (0, 0, 1) => "Split the job between device and server".to_owned(),
            (0, 0, _) => format!("Split all {cut} jobs between device and server"),
            _ => {
                let mut advice = format!("Split {}", count(cut, "job"));
                if on_device > 0 {
                    advice += &format!(", keep {on_device} on the device");
                }
                if on_server > 0 {
                    advice += &format!(", send {on_server} whole to the server");
                }
                advice
            }
        }
    }
}
