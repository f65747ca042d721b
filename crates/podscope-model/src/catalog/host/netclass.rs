//! `/sys/class/net`: state of each network device.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_NETWORK_UP = Gauge, Bool, "node_network_up", ["device"], "Value is 1 if operstate is 'up', 0 otherwise.", "/sys/class/net/*/operstate";
    NODE_NETWORK_INFO = Gauge, Bool, "node_network_info", ["device", "address", "broadcast", "duplex", "operstate", "adminstate", "ifalias"], "Non-numeric data from /sys/class/net/<iface>, value is always 1.", "/sys/class/net";
    NODE_NETWORK_ADDRESS_ASSIGN_TYPE = Gauge, Code, "node_network_address_assign_type", ["device"], "Network device property: address_assign_type.", "/sys/class/net/*/addr_assign_type";
    NODE_NETWORK_CARRIER = Gauge, Bool, "node_network_carrier", ["device"], "Network device property: carrier.", "/sys/class/net/*/carrier";
    NODE_NETWORK_CARRIER_CHANGES_TOTAL = Counter, None, "node_network_carrier_changes_total", ["device"], "Network device property: carrier_changes_total.", "/sys/class/net/*/carrier_changes";
    NODE_NETWORK_CARRIER_UP_CHANGES_TOTAL = Counter, None, "node_network_carrier_up_changes_total", ["device"], "Network device property: carrier_up_changes_total.", "/sys/class/net/*/carrier_up_count";
    NODE_NETWORK_CARRIER_DOWN_CHANGES_TOTAL = Counter, None, "node_network_carrier_down_changes_total", ["device"], "Network device property: carrier_down_changes_total.", "/sys/class/net/*/carrier_down_count";
    NODE_NETWORK_DEVICE_ID = Gauge, Code, "node_network_device_id", ["device"], "Network device property: device_id.", "/sys/class/net/*/dev_id";
    NODE_NETWORK_DORMANT = Gauge, Bool, "node_network_dormant", ["device"], "Network device property: dormant.", "/sys/class/net/*/dormant";
    NODE_NETWORK_FLAGS = Gauge, Code, "node_network_flags", ["device"], "Network device property: flags.", "/sys/class/net/*/flags";
    NODE_NETWORK_IFACE_ID = Gauge, Code, "node_network_iface_id", ["device"], "Network device property: iface_id.", "/sys/class/net/*/ifindex";
    NODE_NETWORK_IFACE_LINK = Gauge, Code, "node_network_iface_link", ["device"], "Network device property: iface_link.", "/sys/class/net/*/iflink";
    NODE_NETWORK_IFACE_LINK_MODE = Gauge, Code, "node_network_iface_link_mode", ["device"], "Network device property: iface_link_mode.", "/sys/class/net/*/link_mode";
    NODE_NETWORK_MTU_BYTES = Gauge, Bytes, "node_network_mtu_bytes", ["device"], "Network device property: mtu_bytes.", "/sys/class/net/*/mtu";
    NODE_NETWORK_NAME_ASSIGN_TYPE = Gauge, Code, "node_network_name_assign_type", ["device"], "Network device property: name_assign_type.", "/sys/class/net/*/name_assign_type";
    NODE_NETWORK_NET_DEV_GROUP = Gauge, Code, "node_network_net_dev_group", ["device"], "Network device property: net_dev_group.", "/sys/class/net/*/netdev_group";
    NODE_NETWORK_SPEED_BYTES = Gauge, BytesPerSecond, "node_network_speed_bytes", ["device"], "Network device property: speed_bytes.", "/sys/class/net/*/speed";
    NODE_NETWORK_TRANSMIT_QUEUE_LENGTH = Gauge, None, "node_network_transmit_queue_length", ["device"], "Network device property: transmit_queue_length.", "/sys/class/net/*/tx_queue_len";
    NODE_NETWORK_PROTOCOL_TYPE = Gauge, Code, "node_network_protocol_type", ["device"], "Network device property: protocol_type.", "/sys/class/net/*/type";
}
