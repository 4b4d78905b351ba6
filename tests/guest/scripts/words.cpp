// Counts words with the containers and streams of the standard library, in two threads.
#include <algorithm>
#include <atomic>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

int main()
{
	std::vector<std::string> texts{"to be or not to be", "that is the question", "to be"};
	std::map<std::string, int> counts[2];
	std::atomic<unsigned> next{0};
	auto work = [&](int which) {
		for (unsigned i; (i = next++) < texts.size();) {
			std::istringstream words(texts[i]);
			for (std::string word; words >> word;)
				counts[which][word]++;
		}
	};
	std::thread first(work, 0), second(work, 1);
	first.join();
	second.join();
	for (auto &[word, n] : counts[1])
		counts[0][word] += n;
	for (auto &[word, n] : counts[0])
		std::cout << word << ' ' << n << '\n';
}
