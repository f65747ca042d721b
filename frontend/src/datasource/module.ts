import '../publicPath';

import { DataSourcePlugin } from '@grafana/data';

import { FleetDataSource } from './datasource';
import { type FleetOptions, type FleetQuery, type FleetSecrets } from './types';

export const plugin = new DataSourcePlugin<FleetDataSource, FleetQuery, FleetOptions, FleetSecrets>(FleetDataSource);
