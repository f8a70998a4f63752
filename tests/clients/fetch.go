// Asks once and prints what came: go run fetch.go URL stream|plain
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	body := fmt.Sprintf(`{"model": "m", "messages": [], "stream": %t}`, os.Args[2] == "stream")
	answer, err := http.Post(os.Args[1], "application/json", strings.NewReader(body))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"status": answer.StatusCode, "text": string(text)})
}
