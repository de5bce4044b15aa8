//! A wire between a device and a server that breaks in mid-run.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// How the wire breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Both ends stay connected, and nothing gets through any more.
    Silence,
    /// The device is sent bytes of no protocol, and nothing else.
    Garbage,
    /// Both connections are closed.
    Close,
}

#[derive(Default)]
struct Shared {
    /// The fault of new connections, and after how many bytes from the device it comes.
    armed: Mutex<Option<(usize, Fault)>>,
    sockets: Mutex<Vec<TcpStream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    is_over: AtomicBool,
}

/// The wire, as long as it lives.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Relay {
    /// A sound wire to a server.
    pub(super) fn start(server: SocketAddr) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepted = shared.clone();
        let accepting = std::thread::spawn(move || {
            for device in listener.incoming() {
                if accepted.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let server = TcpStream::connect(server).unwrap();
                connect(&accepted, device.unwrap(), server);
            }
        });
        Relay { address, shared, accepting: Some(accepting) }
    }

    /// Breaks each new connection after `after_bytes` bytes from the device.
    pub(super) fn arm(&self, after_bytes: usize, fault: Fault) {
        *self.shared.armed.lock().unwrap() = Some((after_bytes, fault));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        self.accepting.take().unwrap().join().unwrap();
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        let threads = std::mem::take(&mut *self.shared.threads.lock().unwrap());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

fn connect(shared: &Shared, device: TcpStream, server: TcpStream) {
    let fault = *shared.armed.lock().unwrap();
    let is_broken = Arc::new(AtomicBool::new(false));
    let both = |socket: &TcpStream| socket.try_clone().unwrap();
    shared.sockets.lock().unwrap().extend([both(&device), both(&server)]);
    let (from_server, to_device, broken) = (both(&server), both(&device), is_broken.clone());
    let down = std::thread::spawn(move || down(from_server, to_device, &broken));
    let up = std::thread::spawn(move || up(device, server, fault, &is_broken));
    shared.threads.lock().unwrap().extend([up, down]);
}

/// Device to server, until the fault.
fn up(
    mut device: TcpStream,
    mut server: TcpStream,
    fault: Option<(usize, Fault)>,
    is_broken: &AtomicBool,
) {
    let (mut passed, mut buffer) = (0, [0; 1024]);
    while let Ok(count @ 1..) = device.read(&mut buffer) {
        let left = fault.map_or(count, |(after, _)| after.saturating_sub(passed).min(count));
        passed += left;
        if server.write_all(&buffer[..left]).is_err() {
            break;
        }
        let Some((_, fault)) = fault.filter(|_| left < count) else { continue };
        if is_broken.swap(true, Ordering::SeqCst) {
            continue;
        }
        match fault {
            Fault::Silence => {}
            // Fails only if the device has gone.
            Fault::Garbage => drop(device.write_all(&[0xA5; 4096])),
            Fault::Close => break,
        }
    }
    let _ = device.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Server to device, while the wire is sound.
fn down(mut server: TcpStream, mut device: TcpStream, is_broken: &AtomicBool) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        let is_sound = !is_broken.load(Ordering::SeqCst);
        if is_sound && device.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    if !is_broken.load(Ordering::SeqCst) {
        let _ = device.shutdown(Shutdown::Write);
    }
}
