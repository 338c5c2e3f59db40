// What Go's own compiler makes of the network on WASI preview 1: each line is what one call said.
//
// `network HOST:PORT`. Preview 1 cannot open a connection. Go has a network within the process in its place, for tests:
// what the program itself listens on can be reached, and nothing else.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

func main() {
	address := os.Args[1]
	_, err := net.Dial("tcp", address)
	fmt.Println("dial:", err)
	_, err = net.LookupHost("localhost")
	fmt.Println("lookup:", err)
	_, err = http.Get("http://" + address + "/")
	fmt.Println("http:", err)
	fmt.Println("within the process:", within())
	fmt.Println("goroutines:", goroutines())
}

// A hundred goroutines that pass a number on, each one more.
func goroutines() int {
	var group sync.WaitGroup
	first := make(chan int)
	last := first
	for range 100 {
		from, to := last, make(chan int)
		group.Go(func() { to <- 1 + <-from })
		last = to
	}
	first <- 0
	sum := <-last
	group.Wait()
	return sum
}

func within() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err.Error()
	}
	go func() {
		if connection, err := listener.Accept(); err == nil {
			io.WriteString(connection, "reached")
			connection.Close()
		}
	}()
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return err.Error()
	}
	said, _ := io.ReadAll(connection)
	return string(said)
}
