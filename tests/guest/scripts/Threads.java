// Threads, the just-in-time compilers' and the collector's among them, in an order of their own.
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class Threads {
	public static void main(String[] args) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(4);
		List<Future<Long>> results = new ArrayList<>();
		ConcurrentLinkedQueue<Integer> order = new ConcurrentLinkedQueue<>();

		for (int i = 0; i < 16; i++) {
			final int n = i;
			results.add(pool.submit(() -> {
				long sum = 0;
				for (int k = 0; k < 200000; k++)
					sum += k * n % 7;
				order.add(n);
				return sum;
			}));
		}
		long total = 0;
		for (Future<Long> result : results)
			total += result.get();
		pool.shutdown();
		System.gc();
		Thread.sleep(100);
		System.out.println(total + " " + order + " " + System.nanoTime());
	}
}
