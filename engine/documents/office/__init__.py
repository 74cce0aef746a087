"""What the office formats share: zip packages, safe XML, relations, drawings, charts, number formats."""
