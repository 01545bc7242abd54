// Keeps 64 calls in flight to an echo function behind gRPC and prints how many were answered in a second.
//
//	grpc_client SOCKET TEXT SECONDS
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Messages are JSON as it stands.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "raw" }

func main() {
	seconds, err := strconv.ParseFloat(os.Args[3], 64)
	if err != nil {
		panic(err)
	}
	connection, err := grpc.NewClient("unix:"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		panic(err)
	}
	request, _ := json.Marshal(map[string]string{"text": os.Args[2]})
	expected, _ := json.Marshal(os.Args[2])
	var answered atomic.Int64
	var group sync.WaitGroup
	begin := time.Now()
	until := begin.Add(time.Duration(seconds * float64(time.Second)))
	for range 64 {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Now().Before(until) {
				var answer []byte
				if err := connection.Invoke(context.Background(), "/bench.Functions/Echo", &request, &answer); err != nil {
					panic(err)
				}
				if string(answer) != string(expected) {
					panic("another answer: " + string(answer))
				}
				answered.Add(1)
			}
		}()
	}
	group.Wait()
	fmt.Printf("%.1f\n", float64(answered.Load())/time.Since(begin).Seconds())
}
