import '../publicPath';

import { DataSourcePlugin } from '@grafana/data';

import { ConfigEditor } from './ConfigEditor/ConfigEditor';
import { FleetDataSource } from './datasource';
import { QueryEditor } from './QueryEditor/QueryEditor';
import { type FleetOptions, type FleetQuery, type FleetSecrets } from './types';

export const plugin = new DataSourcePlugin<FleetDataSource, FleetQuery, FleetOptions, FleetSecrets>(FleetDataSource)
  .setConfigEditor(ConfigEditor)
  .setQueryEditor(QueryEditor);
