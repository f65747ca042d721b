//! Hardware sensors: temperatures, fans, voltages, power.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_HWMON_CHIP_NAMES = Gauge, Bool, "node_hwmon_chip_names", ["chip", "chip_name"], "Annotation metric for human-readable chip names.", "/sys/class/hwmon/*/name";
    NODE_HWMON_SENSOR_LABEL = Gauge, Bool, "node_hwmon_sensor_label", ["chip", "sensor", "label"], "Label for given chip and sensor.", "/sys/class/hwmon/*/*_label";
    NODE_HWMON_TEMP_CELSIUS = Gauge, Celsius, "node_hwmon_temp_celsius", ["chip", "sensor"], "Hardware monitor for temperature (input).", "/sys/class/hwmon/*/temp*_input";
    NODE_HWMON_TEMP_MAX_CELSIUS = Gauge, Celsius, "node_hwmon_temp_max_celsius", ["chip", "sensor"], "Hardware monitor for temperature (max).", "/sys/class/hwmon/*/temp*_max";
    NODE_HWMON_TEMP_MAX_HYST_CELSIUS = Gauge, Celsius, "node_hwmon_temp_max_hyst_celsius", ["chip", "sensor"], "Hardware monitor for temperature (max_hyst).", "/sys/class/hwmon/*/temp*_max_hyst";
    NODE_HWMON_TEMP_MIN_CELSIUS = Gauge, Celsius, "node_hwmon_temp_min_celsius", ["chip", "sensor"], "Hardware monitor for temperature (min).", "/sys/class/hwmon/*/temp*_min";
    NODE_HWMON_TEMP_CRIT_CELSIUS = Gauge, Celsius, "node_hwmon_temp_crit_celsius", ["chip", "sensor"], "Hardware monitor for temperature (crit).", "/sys/class/hwmon/*/temp*_crit";
    NODE_HWMON_TEMP_CRIT_HYST_CELSIUS = Gauge, Celsius, "node_hwmon_temp_crit_hyst_celsius", ["chip", "sensor"], "Hardware monitor for temperature (crit_hyst).", "/sys/class/hwmon/*/temp*_crit_hyst";
    NODE_HWMON_TEMP_EMERGENCY_CELSIUS = Gauge, Celsius, "node_hwmon_temp_emergency_celsius", ["chip", "sensor"], "Hardware monitor for temperature (emergency).", "/sys/class/hwmon/*/temp*_emergency";
    NODE_HWMON_TEMP_LCRIT_CELSIUS = Gauge, Celsius, "node_hwmon_temp_lcrit_celsius", ["chip", "sensor"], "Hardware monitor for temperature (lcrit).", "/sys/class/hwmon/*/temp*_lcrit";
    NODE_HWMON_TEMP_HIGHEST_CELSIUS = Gauge, Celsius, "node_hwmon_temp_highest_celsius", ["chip", "sensor"], "Hardware monitor for temperature (highest).", "/sys/class/hwmon/*/temp*_highest";
    NODE_HWMON_TEMP_LOWEST_CELSIUS = Gauge, Celsius, "node_hwmon_temp_lowest_celsius", ["chip", "sensor"], "Hardware monitor for temperature (lowest).", "/sys/class/hwmon/*/temp*_lowest";
    NODE_HWMON_TEMP_CRIT_ALARM_CELSIUS = Gauge, Celsius, "node_hwmon_temp_crit_alarm_celsius", ["chip", "sensor"], "Hardware monitor for temperature (crit_alarm).", "/sys/class/hwmon/*/temp*_crit_alarm";
    NODE_HWMON_TEMP_MAX_ALARM_CELSIUS = Gauge, Celsius, "node_hwmon_temp_max_alarm_celsius", ["chip", "sensor"], "Hardware monitor for temperature (max_alarm).", "/sys/class/hwmon/*/temp*_max_alarm";
    NODE_HWMON_TEMP_MIN_ALARM_CELSIUS = Gauge, Celsius, "node_hwmon_temp_min_alarm_celsius", ["chip", "sensor"], "Hardware monitor for temperature (min_alarm).", "/sys/class/hwmon/*/temp*_min_alarm";
    NODE_HWMON_TEMP_ALARM = Gauge, Bool, "node_hwmon_temp_alarm", ["chip", "sensor"], "Hardware sensor alarm status (temp).", "/sys/class/hwmon/*/temp*_alarm";
    NODE_HWMON_TEMP_FAULT = Gauge, Bool, "node_hwmon_temp_fault", ["chip", "sensor"], "Hardware sensor fault status (temp).", "/sys/class/hwmon/*/temp*_fault";
    NODE_HWMON_FAN_RPM = Gauge, RotationsPerMinute, "node_hwmon_fan_rpm", ["chip", "sensor"], "Hardware monitor for fan revolutions per minute (input).", "/sys/class/hwmon/*/fan*_input";
    NODE_HWMON_FAN_MIN_RPM = Gauge, RotationsPerMinute, "node_hwmon_fan_min_rpm", ["chip", "sensor"], "Hardware monitor for fan revolutions per minute (min).", "/sys/class/hwmon/*/fan*_min";
    NODE_HWMON_FAN_MAX_RPM = Gauge, RotationsPerMinute, "node_hwmon_fan_max_rpm", ["chip", "sensor"], "Hardware monitor for fan revolutions per minute (max).", "/sys/class/hwmon/*/fan*_max";
    NODE_HWMON_FAN_TARGET_RPM = Gauge, RotationsPerMinute, "node_hwmon_fan_target_rpm", ["chip", "sensor"], "Hardware monitor for fan revolutions per minute (target).", "/sys/class/hwmon/*/fan*_target";
    NODE_HWMON_FAN_ALARM = Gauge, Bool, "node_hwmon_fan_alarm", ["chip", "sensor"], "Hardware sensor alarm status (fan).", "/sys/class/hwmon/*/fan*_alarm";
    NODE_HWMON_FAN_FAULT = Gauge, Bool, "node_hwmon_fan_fault", ["chip", "sensor"], "Hardware sensor fault status (fan).", "/sys/class/hwmon/*/fan*_fault";
    NODE_HWMON_IN_VOLTS = Gauge, Volts, "node_hwmon_in_volts", ["chip", "sensor"], "Hardware monitor for voltage (input).", "/sys/class/hwmon/*/in*_input";
    NODE_HWMON_IN_MIN_VOLTS = Gauge, Volts, "node_hwmon_in_min_volts", ["chip", "sensor"], "Hardware monitor for voltage (min).", "/sys/class/hwmon/*/in*_min";
    NODE_HWMON_IN_MAX_VOLTS = Gauge, Volts, "node_hwmon_in_max_volts", ["chip", "sensor"], "Hardware monitor for voltage (max).", "/sys/class/hwmon/*/in*_max";
    NODE_HWMON_IN_ALARM = Gauge, Bool, "node_hwmon_in_alarm", ["chip", "sensor"], "Hardware sensor alarm status (in).", "/sys/class/hwmon/*/in*_alarm";
    NODE_HWMON_CURR_AMPS = Gauge, None, "node_hwmon_curr_amps", ["chip", "sensor"], "Hardware monitor for current (input).", "/sys/class/hwmon/*/curr*_input";
    NODE_HWMON_POWER_WATT = Gauge, Watts, "node_hwmon_power_watt", ["chip", "sensor"], "Hardware monitor for power usage in watts (input).", "/sys/class/hwmon/*/power*_input";
    NODE_HWMON_POWER_AVERAGE_WATT = Gauge, Watts, "node_hwmon_power_average_watt", ["chip", "sensor"], "Hardware monitor for power usage in watts (average).", "/sys/class/hwmon/*/power*_average";
    NODE_HWMON_POWER_CAP_WATT = Gauge, Watts, "node_hwmon_power_cap_watt", ["chip", "sensor"], "Hardware monitor for power usage in watts (cap).", "/sys/class/hwmon/*/power*_cap";
    NODE_HWMON_ENERGY_JOULE_TOTAL = Counter, Joules, "node_hwmon_energy_joule_total", ["chip", "sensor"], "Hardware monitor for joules used so far (input).", "/sys/class/hwmon/*/energy*_input";
}
