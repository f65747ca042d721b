package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
)

// secret is given to the plugin as its token and must never come back on stderr.
const secret = "judge-secret-hunter2"

// output is the plugin's stderr; go-plugin writes to it from its own goroutine.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

// plugin is the executable as Grafana sees it.
type plugin struct {
	data        grpcplugin.DataClient
	diagnostics grpcplugin.DiagnosticsClient
	resource    grpcplugin.ResourceClient
}

func judgeLive(v *verdict, executable string, urls []string) error {
	stderr := &output{}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		Cmd: exec.Command(executable),
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion:  grpcplugin.ProtocolVersion,
			MagicCookieKey:   grpcplugin.MagicCookieKey,
			MagicCookieValue: grpcplugin.MagicCookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{grpcplugin.ProtocolVersion: {
			"data":        &grpcplugin.DataGRPCPlugin{},
			"diagnostics": &grpcplugin.DiagnosticsGRPCPlugin{},
			"resource":    &grpcplugin.ResourceGRPCPlugin{},
		}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		SkipHostEnv:      true,
		Stderr:           stderr,
		Logger:           hclog.NewNullLogger(),
	})
	defer client.Kill()
	rpc, err := client.Client()
	if err != nil {
		return fmt.Errorf("go-plugin cannot start %s: %w", executable, err)
	}
	v.check("go-plugin's ping is answered", rpc.Ping())
	p := &plugin{}
	for name, set := range map[string]func(any){
		"data":        func(raw any) { p.data = raw.(grpcplugin.DataClient) },
		"diagnostics": func(raw any) { p.diagnostics = raw.(grpcplugin.DiagnosticsClient) },
		"resource":    func(raw any) { p.resource = raw.(grpcplugin.ResourceClient) },
	} {
		raw, err := rpc.Dispense(name)
		if err != nil {
			return err
		}
		set(raw)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	for _, role := range []string{"None", "", "Viewer", "Admin"} {
		v.check(fmt.Sprintf("role %q is answered", role), p.panel(ctx, urls, role))
	}
	v.check("jsonData null is answered with what to do", p.nullSettings(ctx))
	v.check("no data is a frame without fields", p.noData(ctx, urls))
	v.check("an alert's range query has no empty cells", p.alertRange(ctx, urls))
	v.check("an alert's instant query is plain numbers", p.alertInstant(ctx, urls))
	v.check("a bad query fails alone, downstream", p.badQuery(ctx, urls))
	v.check("the health check answers", p.health(ctx, urls))
	v.check("a resource answers", p.labels(ctx, urls))
	v.check("metrics are collected", p.metrics(ctx))
	v.check("broken settings with a secret are answered", p.brokenSettings(ctx))

	started := time.Now()
	client.Kill()
	if waited := time.Since(started); waited > 1900*time.Millisecond {
		v.check("the plugin ends when asked", fmt.Errorf("it took %s and was killed", waited))
	} else {
		v.check("the plugin ends when asked", nil)
	}
	if strings.Contains(stderr.String(), secret) {
		v.check("no secret on stderr", fmt.Errorf("found in:\n%s", stderr.String()))
	} else {
		v.check("no secret on stderr", nil)
	}
	return nil
}

func pluginContext(settings []byte, role string) *pluginv2.PluginContext {
	return &pluginv2.PluginContext{
		OrgId:    1,
		PluginId: "podscope-fleet-datasource",
		User:     &pluginv2.User{Login: "judge", Role: role},
		DataSourceInstanceSettings: &pluginv2.DataSourceInstanceSettings{
			Uid:                     "podscope",
			Name:                    "Podscope",
			JsonData:                settings,
			DecryptedSecureJsonData: map[string]string{"token": secret},
			LastUpdatedMS:           int64(len(settings)),
		},
		// Newer than the plugin's own protocol: must be ignored.
		GrafanaConfig: map[string]string{"GF_FEATURE": "x"},
		PluginVersion: "0.1.0",
	}
}

func settings(urls []string) []byte {
	targets := []map[string]string{}
	for _, url := range urls {
		targets = append(targets, map[string]string{"url": url})
	}
	text, _ := json.Marshal(map[string]any{"targets": targets})
	return text
}

func (p *plugin) query(ctx context.Context, context *pluginv2.PluginContext, alert bool, queries ...string) (map[string]*pluginv2.DataResponse, error) {
	now := time.Now().UnixMilli()
	request := &pluginv2.QueryDataRequest{PluginContext: context}
	if alert {
		request.Headers = map[string]string{"FromAlert": "true"}
	}
	for at, query := range queries {
		request.Queries = append(request.Queries, &pluginv2.DataQuery{
			RefId:         string(rune('A' + at)),
			MaxDataPoints: 1000,
			IntervalMS:    1000,
			TimeRange:     &pluginv2.TimeRange{FromEpochMS: now - 60_000, ToEpochMS: now},
			Json:          []byte(query),
		})
	}
	response, err := p.data.QueryData(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.Responses, nil
}

// frames decodes a response with the SDK and holds every frame to its type.
func frames(response *pluginv2.DataResponse) (data.Frames, error) {
	if response == nil {
		return nil, fmt.Errorf("no response for the refId")
	}
	if response.Error != "" || response.Status != 200 {
		return nil, fmt.Errorf("status %d: %s", response.Status, response.Error)
	}
	decoded, err := data.UnmarshalArrowFrames(response.Frames)
	if err != nil {
		return nil, err
	}
	for _, frame := range decoded {
		if err := wellFormed(frame); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}

func (p *plugin) panel(ctx context.Context, urls []string, role string) error {
	responses, err := p.query(ctx, pluginContext(settings(urls), role), false, `{"expr": "up"}`)
	if err != nil {
		return err
	}
	list, err := frames(responses["A"])
	if err != nil {
		return err
	}
	if len(list) != 1 || len(list[0].Fields) != 1+len(urls) || list[0].Meta.Type != data.FrameTypeTimeSeriesWide {
		return fmt.Errorf("expected one wide frame of %d series, got %d frames", len(urls), len(list))
	}
	if list[0].Fields[1].Labels["job"] != "node" {
		return fmt.Errorf("labels are %v", list[0].Fields[1].Labels)
	}
	return nil
}

func (p *plugin) nullSettings(ctx context.Context) error {
	response, err := p.diagnostics.CheckHealth(ctx, &pluginv2.CheckHealthRequest{PluginContext: pluginContext([]byte("null"), "Admin")})
	if err != nil {
		return err
	}
	if response.Status != pluginv2.CheckHealthResponse_ERROR || !strings.Contains(response.Message, "add the URL") {
		return fmt.Errorf("status %s: %s", response.Status, response.Message)
	}
	responses, err := p.query(ctx, pluginContext([]byte("null"), "Admin"), false, `{"expr": "node_load1"}`)
	if err != nil {
		return err
	}
	if answer := responses["A"]; answer == nil || answer.Status < 400 || answer.ErrorSource != "downstream" {
		return fmt.Errorf("a query is answered %v", answer)
	}
	return nil
}

func (p *plugin) noData(ctx context.Context, urls []string) error {
	for _, alert := range []bool{false, true} {
		responses, err := p.query(ctx, pluginContext(settings(urls), "Admin"), alert,
			`{"expr": "nobody_has_this"}`, `{"expr": "nobody_has_this", "instant": true}`, `{"expr": "nobody_has_this", "format": "table"}`)
		if err != nil {
			return err
		}
		for ref, response := range responses {
			list, err := frames(response)
			if err != nil {
				return fmt.Errorf("%s: %w", ref, err)
			}
			if len(list) != 1 || len(list[0].Fields) != 0 || list[0].Meta == nil {
				return fmt.Errorf("%s (alert %t): %d frames, the first with %d fields", ref, alert, len(list), len(list[0].Fields))
			}
		}
	}
	return nil
}

func (p *plugin) alertRange(ctx context.Context, urls []string) error {
	responses, err := p.query(ctx, pluginContext(settings(urls), "Admin"), true, `{"expr": "up", "range": true}`)
	if err != nil {
		return err
	}
	list, err := frames(responses["A"])
	if err != nil {
		return err
	}
	if len(list) != len(urls) {
		return fmt.Errorf("%d frames for %d series", len(list), len(urls))
	}
	for _, frame := range list {
		if frame.Meta.Type != data.FrameTypeTimeSeriesMulti {
			return fmt.Errorf("the frame's type is %q", frame.Meta.Type)
		}
	}
	return counted(list, len(urls))
}

// counted fails when expressions find another number of series.
func counted(list data.Frames, expected int) error {
	found, err := readable(list)
	if err == nil && found != expected {
		err = fmt.Errorf("expressions find %d series of %d", found, expected)
	}
	return err
}

func (p *plugin) alertInstant(ctx context.Context, urls []string) error {
	responses, err := p.query(ctx, pluginContext(settings(urls), "Admin"), true, `{"expr": "up", "instant": true}`)
	if err != nil {
		return err
	}
	list, err := frames(responses["A"])
	if err != nil {
		return err
	}
	if len(list) != 1 || list[0].Meta.Type != data.FrameTypeNumericWide || len(list[0].Fields) != len(urls) {
		return fmt.Errorf("expected one frame of %d numbers", len(urls))
	}
	return counted(list, len(urls))
}

func (p *plugin) badQuery(ctx context.Context, urls []string) error {
	responses, err := p.query(ctx, pluginContext(settings(urls), "Admin"), false, `{"expr": "sum("}`, `{"expr": "up"}`, `[]`)
	if err != nil {
		return err
	}
	for _, ref := range []string{"A", "C"} {
		if answer := responses[ref]; answer == nil || answer.Status != 400 || answer.Error == "" || answer.ErrorSource != "downstream" {
			return fmt.Errorf("%s is answered %v", ref, answer)
		}
	}
	_, err = frames(responses["B"])
	return err
}

func (p *plugin) health(ctx context.Context, urls []string) error {
	response, err := p.diagnostics.CheckHealth(ctx, &pluginv2.CheckHealthRequest{PluginContext: pluginContext(settings(urls), "None")})
	if err != nil {
		return err
	}
	if response.Status != pluginv2.CheckHealthResponse_OK || !json.Valid(response.JsonDetails) {
		return fmt.Errorf("status %s: %s", response.Status, response.Message)
	}
	return nil
}

func (p *plugin) labels(ctx context.Context, urls []string) error {
	stream, err := p.resource.CallResource(ctx, &pluginv2.CallResourceRequest{
		PluginContext: pluginContext(settings(urls), "Viewer"), Path: "api/v1/labels", Method: "GET", Url: "api/v1/labels",
	})
	if err != nil {
		return err
	}
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	if answer.Code != 200 || !strings.Contains(string(answer.Body), `"instance"`) {
		return fmt.Errorf("%d: %s", answer.Code, answer.Body)
	}
	return nil
}

func (p *plugin) metrics(ctx context.Context) error {
	response, err := p.diagnostics.CollectMetrics(ctx, &pluginv2.CollectMetricsRequest{})
	if err != nil {
		return err
	}
	if !strings.Contains(string(response.Metrics.Prometheus), "podscope_plugin_queries_total") {
		return fmt.Errorf("got %q", response.Metrics.Prometheus)
	}
	return nil
}

func (p *plugin) brokenSettings(ctx context.Context) error {
	responses, err := p.query(ctx, pluginContext([]byte(`{"timeoutMs": "soon"}`), "Admin"), false, `{"expr": "up"}`)
	if err != nil {
		return err
	}
	if answer := responses["A"]; answer == nil || !strings.Contains(answer.Error, "timeoutMs") {
		return fmt.Errorf("answered %v", answer)
	}
	return nil
}
