package server

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"time"
)

const (
	// defaultDrainDelay gives whoever routes requests here time to see that
	// this process is no longer ready.
	defaultDrainDelay = time.Second
	// defaultShutdownTimeout leaves a margin within the usual grace of 30 s.
	defaultShutdownTimeout = 25 * time.Second
)

// SettingError is a setting that cannot be used, in words for its author.
type SettingError struct{ Name, Value, Want string }

func (e *SettingError) Error() string {
	return fmt.Sprintf("%s=%q: want %s", e.Name, e.Value, e.Want)
}

type settings struct {
	port, metricsPort          int64
	level                      slog.Level
	drainDelay, shutdownWithin time.Duration
}

func (p Program) settings() (s settings, err error) {
	if s.port, err = IntSetting("PORT", int64(p.Port), 0, 65535); err != nil {
		return s, err
	}
	if s.metricsPort, err = IntSetting("METRICS_PORT", int64(p.MetricsPort), 0, 65535); err != nil {
		return s, err
	}
	if s.port != 0 && s.port == s.metricsPort {
		return s, &SettingError{"METRICS_PORT", strconv.FormatInt(s.metricsPort, 10), "another port than PORT"}
	}
	if s.drainDelay, err = durationSetting("DRAIN_DELAY", defaultDrainDelay); err != nil {
		return s, err
	}
	if s.shutdownWithin, err = durationSetting("SHUTDOWN_TIMEOUT", defaultShutdownTimeout); err != nil {
		return s, err
	}
	if level := os.Getenv("LOG_LEVEL"); level != "" {
		if s.level.UnmarshalText([]byte(level)) != nil {
			return s, &SettingError{"LOG_LEVEL", level, "debug, info, warn or error"}
		}
	}
	return s, nil
}

// StringSetting is the variable's value, or fallback where it is unset or empty.
func StringSetting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// IntSetting is the variable's value, a whole number from lowest to highest.
func IntSetting(name string, fallback, lowest, highest int64) (int64, error) {
	text := os.Getenv(name)
	if text == "" {
		return fallback, nil
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < lowest || value > highest {
		return 0, &SettingError{name, text, fmt.Sprintf("a whole number from %d to %d", lowest, highest)}
	}
	return value, nil
}

// URLSetting is the variable's value, the http or https address of a service.
func URLSetting(name, fallback string) (*url.URL, error) {
	text := StringSetting(name, fallback)
	address, err := url.Parse(text)
	if err != nil || address.Host == "" || (address.Scheme != "http" && address.Scheme != "https") {
		return nil, &SettingError{name, text, "an address as " + fallback}
	}
	return address, nil
}

func durationSetting(name string, fallback time.Duration) (time.Duration, error) {
	text := os.Getenv(name)
	if text == "" {
		return fallback, nil
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < 0 {
		return 0, &SettingError{name, text, "a duration as 25s"}
	}
	return value, nil
}
