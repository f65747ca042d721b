/** A pod in trouble on one page: from what it costs to what caused it. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { house, labelVariable } from './house';
import { rowOne, rowSix } from './war-room/business';
import { rowTwo } from './war-room/compute';
import { rowThree } from './war-room/fabric';
import { rowFour } from './war-room/storage';
import { strips } from './war-room/strips';
import { rowFive, rowSeven } from './war-room/timeline';

export { annotations } from './war-room/timeline';

export function podscopeWarRoom(): DashboardBuilder {
  const board = house({
    uid: 'podscope-war-room',
    title: 'Podscope / War room',
    description:
      'A whole pod during an incident: what it costs, GPUs, fabric, storage, changes, scheduler, and all of them beside one another.',
    tags: ['war-room'],
    from: 'now-6h',
  })
    .withVariable(labelVariable('pod', 'Pod', 'label_values(up, pod)', true))
    .withVariable(labelVariable('fabric', 'Fabric', 'label_values(podscope_switch_up, fabric)', true))
    .withVariable(labelVariable('leaf', 'Leaf', 'label_values(podscope_link_info, leaf)', true))
    .withVariable(labelVariable('tenant', 'Tenant', 'label_values(podscope_slo_tenant_promised_gpus, tenant)', true))
    .withVariable(labelVariable('partition', 'Partition', 'label_values(podscope_slurm_backlog_gpus, partition)', true))
    .withVariable(labelVariable('tc', 'Traffic class', 'label_values(nvswitch_interface_tc_tx_frames, tc)', true))
    .withVariable(labelVariable('cnode', 'CNode', 'label_values(vast_cnode_active, hostname)', true))
    .withVariable(labelVariable('job', 'Job', 'label_values(podscope_nccl_collective_duration_seconds_count, job_id)', true));
  return [strips, rowOne, rowTwo, rowThree, rowFour, rowFive, rowSix, rowSeven].reduce((made, add) => add(made), board);
}
