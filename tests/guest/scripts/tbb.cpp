// Threads of oneTBB, which wait for work and for each other in loops with pause and sched_yield
// before they sleep: sums, a pipeline, its spin locks, and an std::atomic that is waited for.
#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include <tbb/concurrent_queue.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/parallel_reduce.h>
#include <tbb/queuing_mutex.h>
#include <tbb/spin_mutex.h>
#include <tbb/spin_rw_mutex.h>
#include <tbb/task_arena.h>

static const int THREADS = 8;

static long sum()
{
	return tbb::parallel_reduce(
		tbb::blocked_range<long>(0, 200000), 0L,
		[](const tbb::blocked_range<long> &r, long from) {
			for (long i = r.begin(); i != r.end(); i++)
				from += i % 7;
			return from;
		},
		[](long a, long b) { return a + b; });
}

// A lock that is held while others want it.
template <typename Mutex> static long locked()
{
	Mutex mutex;
	long count = 0;

	tbb::parallel_for(0, 400, [&](int) {
		typename Mutex::scoped_lock lock(mutex);
		long seen = count;
		std::this_thread::yield();
		count = seen + 1;
	});
	return count;
}

static long piped()
{
	int next = 0;
	long total = 0;

	tbb::parallel_pipeline(
		16, tbb::make_filter<void, int>(tbb::filter_mode::serial_in_order,
						[&](tbb::flow_control &flow) {
							if (next == 500)
								flow.stop();
							return next++;
						}) &
			    tbb::make_filter<int, int>(tbb::filter_mode::parallel,
						       [](int n) { return n * 2; }) &
			    tbb::make_filter<int, void>(tbb::filter_mode::serial_in_order,
							[&](int n) { total = total * 3 + n; total %= 1000003; }));
	return total;
}

// One after the other, by a flag alone.
static int in_turn()
{
	std::atomic<int> turn{0};
	std::vector<std::thread> threads;

	for (int i = 0; i < THREADS; i++)
		threads.emplace_back([&turn, i] {
			for (int round = 0; round < 4; round++) {
				while (turn.load(std::memory_order_acquire) != round * THREADS + i)
					;
				turn.fetch_add(1, std::memory_order_release);
			}
		});
	for (auto &thread : threads)
		thread.join();
	return turn;
}

static int waited()
{
	std::atomic<int> stage{0};
	std::thread other([&] {
		for (int i = 0; i < 100; i += 2) {
			stage.wait(i);
			stage = i + 2;
			stage.notify_all();
		}
	});

	for (int i = 0; i < 100; i += 2) {
		stage = i + 1;
		stage.notify_all();
		stage.wait(i + 1);
	}
	other.join();
	return stage;
}

int main()
{
	tbb::global_control threads(tbb::global_control::max_allowed_parallelism, THREADS);

	printf("sum %ld\n", sum());
	printf("spin %ld\n", locked<tbb::spin_mutex>());
	printf("queuing %ld\n", locked<tbb::queuing_mutex>());
	printf("rw %ld\n", locked<tbb::spin_rw_mutex>());
	printf("pipeline %ld\n", piped());
	printf("turns %d\n", in_turn());
	printf("atomic %d\n", waited());
	return 0;
}
