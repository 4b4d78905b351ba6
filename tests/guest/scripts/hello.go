// Goroutines on several threads, sleeping, a map in its random order, the clock.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

func main() {
	var wg sync.WaitGroup
	out := make(chan string, 4)
	for i := 0; i < 8; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			time.Sleep(time.Duration(i%3) * time.Millisecond)
			out <- fmt.Sprintf("goroutine %d", i)
		}(i)
	}
	go func() { wg.Wait(); close(out) }()
	for s := range out {
		fmt.Println(s)
	}
	m := map[int]int{}
	for i := 0; i < 100; i++ {
		m[i] = i
	}
	for k := range m {
		fmt.Print(k, " ")
	}
	fmt.Println(time.Now().UnixNano(), os.Getpid())
}
