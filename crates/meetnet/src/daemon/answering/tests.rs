use super::Answering;

/// Name of the thread that a task of it runs on.
async fn thread_of(answering: &Answering) -> String {
    let task = answering.handle().spawn(async {
        let thread = std::thread::current();
        thread.name().unwrap_or_default().to_owned()
    });
    task.await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn answers_are_made_on_threads_of_their_own_beside_messages_and_may_end_within_a_task() {
    let answering = Answering::start(true).expect("threads");
    assert_eq!(thread_of(&answering).await, "answer");
    assert!(answering.own_handle().is_some());
    // Tokio panics where a runtime is dropped that would have to be waited for.
    drop(answering);
    let alone = Answering::start(false).expect("none to start");
    assert_ne!(thread_of(&alone).await, "answer");
    assert!(alone.own_handle().is_none());
}
