// A program for CGI that Go itself compiles: it allocates while it reads, so that its heap grows between the calls of WASI.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	words := strings.Fields(strings.Repeat(string(body)+" ", 100_000))
	fmt.Printf("content-type: text/plain\n\n%d words, of which the last is %q\n", len(words), words[len(words)-1])
}
