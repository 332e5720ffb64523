//! How threads of a runtime end where nobody may wait for them.

use std::mem::ManuallyDrop;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;

/// How long a thread that works on is waited for; longer than any query has to end.
const ENDING_MAX: Duration = Duration::from_secs(60);

/// Ends a runtime, from within another or not, and returns at once: a thread waits for its threads.
///
/// To let go of them, as [`Runtime::shutdown_background`] does, is not safe while they end: up to version 2.36 at least, glibc
/// looks at the stack of a thread once more behind the call that lets go of it (its bug 19951), and the stack may be gone. Of many
/// thousand commands one ended by a segmentation fault, behind its answer.
pub fn end_elsewhere(runtime: Runtime) {
    // A runtime must not be dropped where tasks run, also where no thread can be started: then it is left.
    let runtime = ManuallyDrop::new(runtime);
    let waiting = thread::Builder::new()
        .name("ending".to_owned())
        .spawn(move || ManuallyDrop::into_inner(runtime).shutdown_timeout(ENDING_MAX));
    // It works on until the others have ended, and is let go of long before.
    drop(waiting);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Notes that it is dropped.
    struct Noted(Arc<AtomicBool>);

    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    #[tokio::test]
    async fn a_runtime_ends_from_within_another() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let is_dropped = Arc::new(AtomicBool::new(false));
        let noted = Noted(Arc::clone(&is_dropped));
        runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(noted);
        });
        end_elsewhere(runtime);
        for _ in 0..500 {
            if is_dropped.load(Ordering::Acquire) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("its tasks are still there");
    }
}
